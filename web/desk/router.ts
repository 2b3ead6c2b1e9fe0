// Routes of the desk. The queue is in the first bundle; other screens are loaded when they are opened.
import { createRouter, createWebHistory } from 'vue-router';
import { session } from '@shared/api/session.ts';
import { findLandingScreen, canOpen } from './permissions.ts';
import { SET_PASSWORD } from './paths.ts';
import Queue from './queue/QueuePage.vue';

export const router = createRouter({
  history: createWebHistory('/desk/'),
  routes: [
    { path: '/', redirect: () => findLandingScreen() ?? '/queue' },
    { path: '/queue', component: Queue },
    { path: '/visits/:id', component: () => import('./visits/VisitPage.vue'), props: true },
    { path: '/overview', component: () => import('./overview/OverviewPage.vue') },
    { path: '/due', component: () => import('./overview/DueVisitsPage.vue') },
    { path: '/orders', component: () => import('./orders/OrdersPage.vue') },
    { path: '/spot-checks', component: () => import('./spotchecks/SpotChecksPage.vue') },
    { path: '/households', component: () => import('./households/HouseholdsPage.vue') },
    { path: '/households/:id', component: () => import('./households/HouseholdPage.vue'), props: true },
    { path: '/duplicates', component: () => import('./households/DuplicatesPage.vue') },
    { path: '/households/:id/paper-visit', component: () => import('./paper/PaperVisitPage.vue'), props: true },
    { path: '/cases', component: () => import('./cases/CasesPage.vue') },
    { path: '/cases/:id', component: () => import('./cases/CasePage.vue'), props: true },
    { path: '/recommendations', component: () => import('./cases/RecommendationsPage.vue') },
    { path: '/rosters', component: () => import('./rosters/RostersPage.vue') },
    { path: '/rosters/:id', component: () => import('./rosters/RosterPage.vue'), props: true },
    { path: '/aid', component: () => import('./aid/AidPage.vue') },
    { path: '/aid/:id', component: () => import('./aid/AidBatchPage.vue'), props: true },
    { path: '/change-returns', component: () => import('./cases/ChangeReturnsPage.vue') },
    {
      path: '/change-returns/:area/:month',
      component: () => import('./cases/ChangeReturnPage.vue'),
      props: true,
    },
    { path: '/proofs', component: () => import('./cases/ProofsPage.vue') },
    { path: '/raises', component: () => import('./raises/RaisesPage.vue') },
    { path: '/raises/:id', component: () => import('./raises/RaisePage.vue'), props: true },
    { path: '/records', component: () => import('./records/RecordsPage.vue') },
    { path: '/records/:id', component: () => import('./records/RecordPage.vue'), props: true },
    { path: '/postings', component: () => import('./postings/PostingsPage.vue') },
    { path: '/proposals', component: () => import('./households/ProposalsPage.vue') },
    { path: '/cross-checks', component: () => import('./crosschecks/CrossChecksPage.vue') },
    { path: '/rules', component: () => import('./policy/PolicyPage.vue') },
    { path: '/messages', component: () => import('./messages/MessagesPage.vue') },
    { path: '/complaints', component: () => import('./complaints/ComplaintsPage.vue') },
    { path: '/checklists', component: () => import('./checklists/ChecklistsPage.vue') },
    { path: '/staff', component: () => import('./staff/StaffPage.vue') },
    { path: '/areas', component: () => import('./areas/AreasPage.vue') },
    { path: '/imports', component: () => import('./imports/ImportsPage.vue') },
    { path: '/packages', component: () => import('./packages/PackagesPage.vue') },
    { path: '/imports/:id', component: () => import('./imports/ImportPage.vue'), props: true },
    { path: '/devices', component: () => import('./devices/DevicesPage.vue') },
    { path: '/confirm', component: () => import('@shared/QrConfirm.vue') },
    { path: '/account', component: () => import('./account/AccountPage.vue') },
    { path: '/failed-jobs', component: () => import('./jobs/FailedJobsPage.vue') },
    { path: '/data-requests', component: () => import('./privacy/DataRequestsPage.vue') },
    { path: '/problem-reports', component: () => import('./problems/ProblemReportsPage.vue') },
    { path: '/reads', component: () => import('./audit/ReadsPage.vue') },
    { path: '/audit', component: () => import('./audit/AuditPage.vue') },
    { path: SET_PASSWORD, component: { render: () => null } },
    { path: '/:rest(.*)', redirect: '/' },
  ],
});
// A shared or bookmarked address may belong to a screen that this person may not open.
router.beforeEach((to) => {
  if (session.person?.secondFactorDue && to.path !== '/account') return '/account';
  return (session.person && !canOpen(to.path) && findLandingScreen()) || true;
});
