// Opens what this person has on this phone, in one window at a time.
import { ref } from 'vue';
import { session } from '@shared/api/session.ts';
import { keepForGood } from '../device/storage.ts';
import { closeDatabase, openDatabase, removeDatabase } from './database.ts';
import { openLocal, removeLocal } from './local.ts';
import { startSync, stopSync } from './sync.ts';
import { startUploads, stopUploads } from './uploads.ts';

export type Opening = 'closed' | 'opening' | 'open' | 'elsewhere' | 'failed';
export const opening = ref<Opening>('closed');
export const openProblem = ref('');

let release: (() => void) | null = null;

export async function openStore({ takeOver = false } = {}): Promise<void> {
  opening.value = 'opening';
  if (!(await holdWindow(takeOver))) {
    opening.value = 'elsewhere';
    return;
  }
  try {
    const { personId } = session.person!;
    openLocal(personId);
    await openDatabase(personId);
    opening.value = 'open';
    startSync();
    startUploads();
    void keepForGood();
  } catch (error) {
    openProblem.value = String(error);
    opening.value = 'failed';
  }
}

export async function closeStore(): Promise<void> {
  await Promise.all([stopSync(), stopUploads()]);
  await closeDatabase();
  release?.();
  opening.value = 'closed';
}

/** Everything of this person leaves this phone. */
export async function clearStore(): Promise<void> {
  const { personId } = session.person!;
  await Promise.all([stopSync(), stopUploads()]);
  await removeDatabase(personId);
  await removeLocal();
  release?.();
  opening.value = 'closed';
}

/** True when this window may use the store; another one that holds it gives way when it is taken over. */
function holdWindow(takeOver: boolean): Promise<boolean> {
  if (!('locks' in navigator)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const options = takeOver ? { steal: true } : { ifAvailable: true };
    navigator.locks
      .request('zoufang.phone', options, (lock) => {
        resolve(lock !== null);
        if (lock) return new Promise<void>((done) => (release = done));
        return undefined;
      })
      .catch(() => {
        // Another window took over.
        void closeStore().then(() => (opening.value = 'elsewhere'));
      });
  });
}
