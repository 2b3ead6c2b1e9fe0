import '@shared/polyfills.ts';
import '@shared/base.css';
import { openSession } from '@shared/api/session.ts';
import { createApp } from 'vue';
import App from './App.vue';

openSession('phone');
createApp(App).mount('#app');
