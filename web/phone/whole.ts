// The app, in place of its start.
import './phone.css';
import { createApp } from 'vue';
import App from './App.vue';
import { watchForUpdates } from './appUpdate.ts';
import { watchForFullStorage } from './guards.ts';
import { router } from './router.ts';

export function mountApp(root: string): void {
  watchForFullStorage();
  createApp(App).use(router).mount(root);
  watchForUpdates();
}
