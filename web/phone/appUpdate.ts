// Registers the service worker, which makes the app available offline. A new version waits until the person agrees.
import { ref } from 'vue';
import { noteRegistered } from './device/offlineSupport.ts';

/** A new version is installed and waiting. */
export const updateReady = ref(false);

export const updating = ref(false);

/** Chromium sometimes leaves a service worker waiting after `skipWaiting`, when a request to the active one intervenes;
 * a reload releases it. How often to try, and how long to wait before the reload. */
const MAX_ATTEMPTS = 3;
const RELOAD_AFTER_MS = 3_000;

/** How often this tab has asked the new version to activate; survives the reloads in between. */
const ATTEMPTS_KEY = 'zoufang.phone.update';

let waitingWorker: ServiceWorker | null = null;

export function watchForUpdates(): void {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  let isControlled = !!navigator.serviceWorker.controller;
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (countAttempts()) finishUpdate();
    else if (isControlled) updateReady.value = true; // another tab updated: this one still runs the old version
    isControlled = true;
  });
  const watchRegistration = (registration: ServiceWorkerRegistration): void => {
    const noticeWaiting = (): void => {
      if (!registration.waiting || !navigator.serviceWorker.controller) return;
      waitingWorker = registration.waiting;
      updateReady.value = true;
      if (countAttempts()) updateNow();
    };
    noticeWaiting();
    if (countAttempts() && !waitingWorker) whenActive(registration.active, finishUpdate);
    registration.addEventListener('updatefound', () => {
      const installing = registration.installing;
      installing?.addEventListener('statechange', () => installing.state === 'installed' && noticeWaiting());
    });
    setInterval(() => void registration.update().catch(() => undefined), 60 * 60_000);
  };
  // A browser that blocks it refuses, or answers nothing.
  void navigator.serviceWorker
    .register('/m/sw.js', { scope: '/m/' })
    .then(watchRegistration)
    .then(
      () => noteRegistered(true),
      () => noteRegistered(false),
    );
}

/** Activate the waiting version and reload. */
export function updateNow(): void {
  if (!waitingWorker || countAttempts() === MAX_ATTEMPTS) {
    finishUpdate();
    return;
  }
  updating.value = true;
  sessionStorage.setItem(ATTEMPTS_KEY, String(countAttempts() + 1));
  waitingWorker.postMessage('now');
  setTimeout(() => location.reload(), RELOAD_AFTER_MS);
}

/** Call back once a service worker is active: a page that loaded meanwhile was still served by the old version. */
function whenActive(worker: ServiceWorker | null, callback: () => void): void {
  if (!worker || worker.state === 'activated') callback();
  else worker.addEventListener('statechange', () => worker.state === 'activated' && callback());
}

const countAttempts = (): number => Number(sessionStorage.getItem(ATTEMPTS_KEY));

function finishUpdate(): void {
  sessionStorage.removeItem(ATTEMPTS_KEY);
  location.reload();
}
