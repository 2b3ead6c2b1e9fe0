import '@shared/polyfills.ts';
import '@shared/wechat.ts';
import '@shared/qrCode.ts';
import '@shared/base.css';
import './desk.css';
import { openSession } from '@shared/api/session.ts';
import { watchScriptErrors } from '@shared/problemLog.ts';
import { createApp } from 'vue';
import App from './App.vue';
import { router } from './router.ts';

openSession('desk');
watchScriptErrors();
createApp(App).use(router).mount('#app');
