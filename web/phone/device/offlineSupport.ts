// Whether this browser opens the app without a network and keeps what was recorded. Seen at run time, never by name:
// WeChat's browser on iOS has no service workers, and elsewhere the person or the office may have switched them off.
import { ref } from 'vue';

const KEY = 'zoufang.phone.noServiceWorker';
const hasParts = 'serviceWorker' in navigator && 'indexedDB' in globalThis && 'persist' in (navigator.storage ?? {});

/** False also where the service worker could not be registered the last time. */
export const worksOffline = ref(hasParts && localStorage.getItem(KEY) === null);

/** Note whether the service worker was registered. */
export function noteRegistered(isRegistered: boolean): void {
  if (isRegistered) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, '1');
  worksOffline.value = hasParts && isRegistered;
}
