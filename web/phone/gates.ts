// What may stand in the way while working, so that any screen can say it and the app shows it: one at a time.
import { ref } from 'vue';

export type Gate = 'storage' | 'location-denied' | 'location-off' | 'camera-denied';
export const gate = ref<Gate | null>(null);

/** What the person wants to do again once the way is free. */
let again: (() => void) | null = null;

export function block(by: Gate, retry?: () => void): void {
  gate.value = by;
  again = retry ?? null;
}

export function unblock(retry: boolean): void {
  gate.value = null;
  if (retry) again?.();
}
