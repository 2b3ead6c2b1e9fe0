import '@shared/polyfills.ts';
import '@shared/base.css';
import './phone.css';
import '@shared/largeType.ts';
import { openSession } from '@shared/api/session.ts';
import { createApp } from 'vue';
import App from './App.vue';
import { watchForFullStorage } from './guards.ts';
import { router } from './router.ts';
import { watchForUpdates } from './appUpdate.ts';

openSession('phone');
watchForFullStorage();
createApp(App).use(router).mount('#app');
watchForUpdates();
