// The screens. The plan is what everybody opens first; the others are fetched with it by the service worker.
import { createRouter, createWebHistory } from 'vue-router';
import Plan from './screens/Plan.vue';

export const router = createRouter({
  history: createWebHistory('/m/'),
  scrollBehavior: (_to, _from, kept) => kept ?? { top: 0 },
  routes: [
    { path: '/', name: 'plan', component: Plan },
    { path: '/home/:id', name: 'home', component: () => import('./screens/Home.vue'), props: true },
    { path: '/home/:id/propose', name: 'propose', component: () => import('./screens/Propose.vue'), props: true },
    { path: '/visit/:id', name: 'visit', component: () => import('./screens/Visit.vue'), props: true },
    { path: '/outbox', name: 'outbox', component: () => import('./screens/Outbox.vue') },
    { path: '/me', name: 'me', component: () => import('./screens/Me.vue') },
    { path: '/attest/:code?', name: 'attest', component: () => import('./screens/Attest.vue'), props: true },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
});
