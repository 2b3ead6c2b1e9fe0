// The service worker: it keeps the app for times without a network, and a new version waits until the person says yes.
import { ref } from 'vue';

/** A new version is on this phone and waits. */
export const updateReady = ref(false);

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
  if (waiting) waiting.postMessage('now');
  else location.reload();
}
