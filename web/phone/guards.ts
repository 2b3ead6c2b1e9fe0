// What may stand in the way while working, so that any screen can say it and the app shows it: one at a time.
import { ref } from 'vue';

export type Gate = 'storage' | 'not-kept' | 'location-denied' | 'location-off' | 'camera-denied';
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

/** What was written could not be kept on this phone: why, and the way to try again. */
export function cannotKeep(error: unknown, retry?: () => void): void {
  block(isFull(error) ? 'storage' : 'not-kept', retry);
}

/** Any write anywhere that failed for want of room is told, also where nobody waited for it. */
export function watchForFullStorage(): void {
  addEventListener('unhandledrejection', ({ reason }) => isFull(reason) && block('storage'));
}

/** As browsers and Dexie say it; Dexie wraps the browser's error. */
function isFull(error: unknown): boolean {
  const { name = '', inner } = (error ?? {}) as { name?: string; inner?: unknown };
  return /quota/i.test(name) || (inner !== undefined && inner !== error && isFull(inner));
}
