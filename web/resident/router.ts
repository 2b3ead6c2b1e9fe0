// Routes of the resident app. Only those with `meta.signedIn` need a sign-in.
import { session } from '@shared/api/session.ts';
import { createRouter, createWebHistory } from 'vue-router';

export const router = createRouter({
  history: createWebHistory('/r/'),
  scrollBehavior: () => ({ top: 0 }),
  routes: [
    { path: '/', component: () => import('./screens/HomeScreen.vue') },
    { path: '/cases/:id', component: () => import('./screens/CaseScreen.vue'), props: true, meta: { signedIn: true } },
    {
      path: '/cases/:id/complain',
      component: () => import('./screens/ComplainScreen.vue'),
      props: true,
      meta: { signedIn: true },
    },
    { path: '/complain', component: () => import('./screens/ComplainScreen.vue') },
    { path: '/privacy', component: () => import('./screens/PrivacyScreen.vue') },
    { path: '/look-up', component: () => import('./screens/LookUpScreen.vue') },
    { path: '/sign-in', component: () => import('./screens/SignInScreen.vue') },
    { path: '/confirm', component: () => import('@shared/QrConfirm.vue'), meta: { signedIn: true } },
    { path: '/follow', component: () => import('./screens/FollowScreen.vue') },
    { path: '/:rest(.*)', redirect: '/' },
  ],
});
router.beforeEach((to) => (to.meta['signedIn'] && !session.person ? '/' : true));
