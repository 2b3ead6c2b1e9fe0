// Whether the server was reachable when last asked. The browser's own `onLine` says only that some network is there;
// a request that failed says more, so both are heard.
import { ref } from 'vue';

export const online = ref(navigator.onLine);
addEventListener('online', () => (online.value = true));
addEventListener('offline', () => (online.value = false));

export function markReachable(): void {
  online.value = true;
}

export function markUnreachable(): void {
  online.value = false;
}
