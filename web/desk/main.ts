import '@shared/polyfills.ts';
import '@shared/base.css';
import './desk.css';
import { openSession } from '@shared/api/session.ts';
import { createApp } from 'vue';
import App from './App.vue';
import { router } from './router.ts';

openSession('desk');
createApp(App).use(router).mount('#app');
