// Guards: conditions that block the work (no storage, no permission). Any module can raise one; GuardScreens.vue shows
// it. Only one is active at a time.
import { ref } from 'vue';

export type Guard = 'storage' | 'not-saved' | 'location-denied' | 'location-off' | 'camera-denied';
export const activeGuard = ref<Guard | null>(null);

/** Repeats the blocked action when the person chooses to retry. */
let retryAction: (() => void) | null = null;

export function showGuard(guard: Guard, retry?: () => void): void {
  activeGuard.value = guard;
  retryAction = retry ?? null;
}

export function dismissGuard(retry: boolean): void {
  activeGuard.value = null;
  if (retry) retryAction?.();
}

/** Show why a write to the phone's storage failed, with a way to retry it. */
export function reportSaveError(error: unknown, retry?: () => void): void {
  showGuard(isQuotaError(error) ? 'storage' : 'not-saved', retry);
}

/** Show the storage guard for any write that failed on a full quota, also where no caller awaits it. */
export function watchForFullStorage(): void {
  addEventListener('unhandledrejection', ({ reason }) => isQuotaError(reason) && showGuard('storage'));
}

/** Recognises the quota errors of browsers, also wrapped by Dexie. */
function isQuotaError(error: unknown): boolean {
  const { name = '', inner } = (error ?? {}) as { name?: string; inner?: unknown };
  return /quota/i.test(name) || (inner !== undefined && inner !== error && isQuotaError(inner));
}
