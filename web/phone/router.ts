// The routes. The plan is loaded with the app; the other screens are lazy and precached by the service worker.
import { createRouter, createWebHistory } from 'vue-router';
import PlanScreen from './screens/PlanScreen.vue';

export const router = createRouter({
  history: createWebHistory('/m/'),
  // A hash opens something over the screen (components/overlay.ts), which stays where it is.
  scrollBehavior: (to, from, savedPosition) => (to.path === from.path ? false : (savedPosition ?? { top: 0 })),
  routes: [
    { path: '/', name: 'plan', component: PlanScreen },
    { path: '/home/:id', name: 'home', component: () => import('./screens/HouseholdScreen.vue'), props: true },
    {
      path: '/home/:id/propose',
      name: 'propose',
      component: () => import('./screens/ProposalScreen.vue'),
      props: true,
    },
    { path: '/visit/:id', name: 'visit', component: () => import('./screens/VisitScreen.vue'), props: true },
    { path: '/work', name: 'work', component: () => import('./screens/WorkScreen.vue') },
    {
      path: '/work/handout/:id',
      name: 'handout',
      component: () => import('./screens/HandoutScreen.vue'),
      props: true,
    },
    { path: '/work/:id', name: 'record', component: () => import('./screens/RecordScreen.vue'), props: true },
    { path: '/outbox', name: 'outbox', component: () => import('./screens/OutboxScreen.vue') },
    { path: '/me', name: 'me', component: () => import('./screens/ProfileScreen.vue') },
    { path: '/report', name: 'report', component: () => import('./screens/ReportScreen.vue') },
    { path: '/attest/:code?', name: 'attest', component: () => import('./screens/AttestScreen.vue'), props: true },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
});
