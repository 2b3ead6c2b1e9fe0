// The service worker: it keeps the app for times without a network, and a new version waits until the person says yes.
import { ref } from 'vue';

/** A new version is on this phone and waits. */
export const updateReady = ref(false);

export const updating = ref(false);

/** Chromium at times leaves a worker waiting though it asked to take over (a request to the old one came between): a
 * page loaded anew sets it free. How often that is tried, and after how long. */
const TRIES = 3;
const PATIENCE_MS = 3_000;

/** How often this tab has asked the new version to take over; kept over the reloads in between. */
const ASKED = 'zoufang.phone.update';

let waiting: ServiceWorker | null = null;

export function watchForUpdates(): void {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  let served = !!navigator.serviceWorker.controller;
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (asked()) finish();
    else if (served) updateReady.value = true; // another tab agreed: this one still shows the version before
    served = true;
  });
  void navigator.serviceWorker.register('/m/sw.js', { scope: '/m/' }).then((registration) => {
    const noticeWaiting = (): void => {
      if (!registration.waiting || !navigator.serviceWorker.controller) return;
      waiting = registration.waiting;
      updateReady.value = true;
      if (asked()) updateNow();
    };
    noticeWaiting();
    if (asked() && !waiting) whenActive(registration.active, finish);
    registration.addEventListener('updatefound', () => {
      const coming = registration.installing;
      coming?.addEventListener('statechange', () => coming.state === 'installed' && noticeWaiting());
    });
    setInterval(() => void registration.update().catch(() => undefined), 60 * 60_000);
  });
}

/** Lets the version that waits take over, and shows it. */
export function updateNow(): void {
  if (!waiting || asked() === TRIES) {
    finish();
    return;
  }
  updating.value = true;
  sessionStorage.setItem(ASKED, String(asked() + 1));
  waiting.postMessage('now');
  setTimeout(() => location.reload(), PATIENCE_MS);
}

/** The new version took over while this page was on its way: what it shows was still sent by the version before. */
function whenActive(worker: ServiceWorker | null, then: () => void): void {
  if (!worker || worker.state === 'activated') then();
  else worker.addEventListener('statechange', () => worker.state === 'activated' && then());
}

const asked = (): number => Number(sessionStorage.getItem(ASKED));

function finish(): void {
  sessionStorage.removeItem(ASKED);
  location.reload();
}
