// How much storage is left, so that a full phone is noticed before a photo is taken.
const MIN_FREE_BYTES = 60 * 1024 * 1024;

export interface StorageEstimate {
  usedBytes: number;
  quotaBytes: number;
  nearlyFull: boolean;
}

export async function estimateStorage(): Promise<StorageEstimate | null> {
  if (!navigator.storage?.estimate) return null;
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  return { usedBytes: usage, quotaBytes: quota, nearlyFull: quota > 0 && quota - usage < MIN_FREE_BYTES };
}

/** Ask the browser not to evict the visits when storage runs low. */
export async function requestPersistentStorage(): Promise<void> {
  await navigator.storage?.persist?.();
}

/** False when the browser may evict the visits, or does not say. */
export async function isStoragePersistent(): Promise<boolean> {
  return (await navigator.storage?.persisted?.()) ?? false;
}
