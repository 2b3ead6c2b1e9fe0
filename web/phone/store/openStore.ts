// Opens and closes the databases of the signed-in person; one window at a time holds them.
import { ref } from 'vue';
import { session } from '@shared/api/session.ts';
import { requestPersistentStorage } from '../device/storage.ts';
import { closeDatabase, openDatabase, removeDatabase } from './database.ts';
import { openLocalDatabase, deleteLocalDatabase } from './localDatabase.ts';
import { startSync, stopSync } from './sync.ts';
import { startUploads, stopUploads } from './photoUploads.ts';

export type StoreState = 'closed' | 'opening' | 'open' | 'elsewhere' | 'failed';
export const storeState = ref<StoreState>('closed');
export const openError = ref('');

let releaseWindowLock: (() => void) | null = null;

export async function openStore({ takeOver = false } = {}): Promise<void> {
  storeState.value = 'opening';
  if (!(await acquireWindowLock(takeOver))) {
    storeState.value = 'elsewhere';
    return;
  }
  try {
    const { personId } = session.person!;
    openLocalDatabase(personId);
    await openDatabase(personId);
    storeState.value = 'open';
    startSync();
    startUploads();
    void requestPersistentStorage();
  } catch (error) {
    openError.value = String(error);
    storeState.value = 'failed';
  }
}

export async function closeStore(): Promise<void> {
  await Promise.all([stopSync(), stopUploads()]);
  await closeDatabase();
  releaseWindowLock?.();
  storeState.value = 'closed';
}

/** Delete all data of this person from the phone. */
export async function clearStore(): Promise<void> {
  const { personId } = session.person!;
  await Promise.all([stopSync(), stopUploads()]);
  await removeDatabase(personId);
  await deleteLocalDatabase();
  releaseWindowLock?.();
  storeState.value = 'closed';
}

/** Resolve to true when this window got the lock; with `takeOver` the window that held it closes its store. */
function acquireWindowLock(takeOver: boolean): Promise<boolean> {
  if (!('locks' in navigator)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const options = takeOver ? { steal: true } : { ifAvailable: true };
    navigator.locks
      .request('zoufang.phone', options, (lock) => {
        resolve(lock !== null);
        if (lock) return new Promise<void>((done) => (releaseWindowLock = done));
        return undefined;
      })
      .catch(() => {
        // Another window took over.
        void closeStore().then(() => (storeState.value = 'elsewhere'));
      });
  });
}
