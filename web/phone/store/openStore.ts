// Opens and closes the databases of the signed-in person; one window at a time holds them.
//
// One store at a time, and one sync for it: opening and closing wait for each other, and nobody signs in before the store
// of the person before is closed. What they have not sent stays in their own store until they sign in again.
import { nextTick, ref } from 'vue';
import { isSessionEnded, session } from '@shared/api/session.ts';
import { requestPersistentStorage } from '../device/storage.ts';
import { closeDatabase, database, openDatabase, removeDatabase, sealDatabase } from './database.ts';
import {
  closeLocalDatabase,
  deleteLocalDatabase,
  localDatabase,
  openLocalDatabase,
  sealLocalDatabase,
} from './localDatabase.ts';
import { getKey, lock } from './lock.ts';
import { convertOnce, leaveRecoveryKey } from './phoneKeys.ts';
import { isEmpty, repairMixedStore, withdraw } from './mixedStore.ts';
import { rememberPerson } from './people.ts';
import { startSync, stopSync } from './sync.ts';
import { startUploads, stopUploads } from './photoUploads.ts';

export type StoreState = 'closed' | 'opening' | 'open' | 'elsewhere' | 'failed';
export const storeState = ref<StoreState>('closed');
export const openError = ref('');
/** The sign-in form is shown in place of the store, which is closed. */
export const signingIn = ref(false);

let releaseWindowLock: (() => void) | null = null;
let openFor: string | null = null;
let turn: Promise<unknown> = Promise.resolve();

export function openStore(options: { takeOver?: boolean } = {}): Promise<void> {
  return inTurn(() => open(options));
}

export function closeStore(): Promise<void> {
  return inTurn(close);
}

/** Close the store and show the sign-in form. */
export async function beginSignIn(): Promise<void> {
  storeState.value = 'closed';
  await nextTick(); // the screens save what is open
  await closeStore();
  signingIn.value = true;
}

/** Open the store of whoever is signed in now: after signing in, or after going back. */
export async function endSignIn(): Promise<void> {
  signingIn.value = false;
  await openStore();
}

/**
 * The session ends: remove what only came down, and keep what is unsent until the same person signs in again. Where
 * nothing is, nothing stays.
 */
export async function withdrawStore(): Promise<void> {
  storeState.value = 'closed';
  await nextTick(); // the screens save what is open
  await inTurn(async () => {
    const { personId } = session.person!;
    await Promise.all([stopSync(), stopUploads()]);
    const key = getKey(personId);
    if (!key) return; // locked: all of it stays sealed
    if (!openFor && !(await acquireWindowLock(false))) return; // the window that has the store does it
    const local = openFor ? localDatabase() : openLocalDatabase(personId, key);
    await withdraw(openFor ? database.value! : await openDatabase(personId, key), local);
    await removeDatabase(personId);
    if (await isEmpty(local)) await deleteLocalDatabase();
    await close();
    await lock(personId);
  });
}

/** Close the store and ask for the PIN. */
export async function lockStore(): Promise<void> {
  const personId = session.person?.personId;
  if (!personId) return;
  storeState.value = 'closed';
  await nextTick(); // the screens save what is open
  await inTurn(async () => {
    await close();
    await lock(personId);
  });
}

function inTurn<T>(step: () => Promise<T>): Promise<T> {
  const result = turn.then(step);
  turn = result.catch(() => undefined);
  return result;
}

async function open({ takeOver = false }: { takeOver?: boolean }): Promise<void> {
  const person = session.person;
  if (!person || isSessionEnded() || (storeState.value === 'open' && openFor === person.personId)) return;
  await close();
  const key = getKey(person.personId);
  if (!key) return askForPin(person.personId);
  storeState.value = 'opening';
  if (!(await acquireWindowLock(takeOver))) {
    storeState.value = 'elsewhere';
    return;
  }
  try {
    rememberPerson(person);
    const local = openLocalDatabase(person.personId, key);
    await convertOnce(person.personId, () => sealDatabase(person.personId, key));
    await sealLocalDatabase(local);
    const store = await openDatabase(person.personId, key);
    await repairMixedStore(store, local);
    openFor = person.personId;
    storeState.value = 'open';
    startSync();
    startUploads();
    void requestPersistentStorage();
    void leaveRecoveryKey(person.personId, key).catch(() => undefined); // without a network: at the next start
  } catch (error) {
    openError.value = String(error);
    storeState.value = 'failed';
  }
}

/** Another window took over: the screens save what is open before the store closes under them. */
async function handOver(): Promise<void> {
  storeState.value = 'closed';
  await nextTick();
  await closeStore();
  storeState.value = 'elsewhere';
}

async function askForPin(personId: string): Promise<void> {
  try {
    await lock(personId);
  } catch (error) {
    openError.value = String(error);
    storeState.value = 'failed';
  }
}

async function close(): Promise<void> {
  await Promise.all([stopSync(), stopUploads()]);
  await closeDatabase();
  closeLocalDatabase();
  releaseWindowLock?.();
  releaseWindowLock = null;
  openFor = null;
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
        void handOver();
      });
  });
}
