// The service worker: it keeps the app for times without a network, and a new version waits until the person says yes.
import { ref } from 'vue';

/** A new version is on this phone and waits. */
export const updateReady = ref(false);

export const updating = ref(false);

/** The new version takes over within a moment; where it does not, the page is loaded anew all the same. */
const PATIENCE_MS = 10_000;

let waiting: ServiceWorker | null = null;
let asked = false;

export function watchForUpdates(): void {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  void navigator.serviceWorker.register('/m/sw.js', { scope: '/m/' }).then((registration) => {
    const noticeWaiting = (): void => {
      if (!registration.waiting || !navigator.serviceWorker.controller) return;
      waiting = registration.waiting;
      updateReady.value = true;
    };
    noticeWaiting();
    registration.addEventListener('updatefound', () => {
      const coming = registration.installing;
      coming?.addEventListener('statechange', () => coming.state === 'installed' && noticeWaiting());
    });
    setInterval(() => void registration.update().catch(() => undefined), 60 * 60_000);
  });
  navigator.serviceWorker.addEventListener('controllerchange', () => asked && location.reload());
}

export function updateNow(): void {
  asked = true;
  updating.value = true;
  waiting?.postMessage('now');
  setTimeout(() => location.reload(), waiting ? PATIENCE_MS : 0);
}
