// The start, in order of need: the page itself draws the frame, this entry the sign-in, and the app with its store comes
// after them. On a 2G network each is there long before the next.
import '@shared/polyfills.ts';
import '@shared/wechat.ts';
import '@shared/base.css';
import '@shared/largeType.ts';
import { openSession } from '@shared/api/session.ts';
import { watchScriptErrors } from '@shared/problemLog.ts';
import { createApp } from 'vue';
import Start from './Start.vue';

openSession('phone');
watchScriptErrors();
const start = createApp(Start, {
  onReady: (mountApp: (root: string) => void) => {
    start.unmount();
    mountApp('#app');
  },
});
start.mount('#app');
