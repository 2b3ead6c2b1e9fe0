// How much room is left. A photo that can't be kept must be known before it is taken, not after.
const LEAST_FREE_BYTES = 60 * 1024 * 1024;

export interface Room {
  usedBytes: number;
  quotaBytes: number;
  nearlyFull: boolean;
}

export async function room(): Promise<Room | null> {
  if (!navigator.storage?.estimate) return null;
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  return { usedBytes: usage, quotaBytes: quota, nearlyFull: quota > 0 && quota - usage < LEAST_FREE_BYTES };
}

/** Asks the browser not to clear this phone's visits when it needs room. */
export async function keepForGood(): Promise<void> {
  await navigator.storage?.persist?.();
}

/** False where the browser may clear this phone's visits when it needs room, or does not say. */
export async function isKeptForGood(): Promise<boolean> {
  return (await navigator.storage?.persisted?.()) ?? false;
}
