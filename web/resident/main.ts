import '@shared/polyfills.ts';
import '@shared/wechat.ts';
import '@shared/qrCode.ts';
import '@shared/base.css';
import './resident.css';
import { openSession } from '@shared/api/session.ts';
import { createApp } from 'vue';
import App from './App.vue';
import { router } from './router.ts';

openSession('resident');
createApp(App).use(router).mount('#app');
