// Whether the server was reachable at the last request. The browser's `onLine` says only that there is some network, so
// failed requests count too.
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
