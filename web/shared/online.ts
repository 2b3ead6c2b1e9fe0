// Whether the server was reachable at the last request. The browser's `onLine` says only that there is some network, so
// failed requests count too.
import { ref } from 'vue';

export const online = ref(navigator.onLine);
addEventListener('online', () => (online.value = true));
let lostAt = 0;
addEventListener('offline', () => {
  lostAt = performance.now();
  online.value = false;
});

/** `begunAt`: when the request began that was answered; an answer from before the network went says nothing of now. */
export function markReachable(begunAt: number): void {
  if (begunAt >= lostAt) online.value = true;
}

export function markUnreachable(): void {
  online.value = false;
}
