// The app lock: the store of a person opens with their PIN, at every start and after a while without a touch.
import { ref } from 'vue';
import { createKey, hasPin, openKey, replacePin } from './phoneKeys.ts';

/** `unset`: no PIN yet. `closed`: it has to be typed. `open`: the key is at hand. */
export type LockState = 'unknown' | 'unset' | 'closed' | 'open';
export const lockState = ref<LockState>('unknown');

const IDLE_MS = 5 * 60_000;
const CHECK_MS = 10_000;

let held: { personId: string; key: CryptoKey } | null = null;
let lastActiveAt = Date.now();

/** The key of this person's store; null while it is locked. */
export function getKey(personId: string): CryptoKey | null {
  return held?.personId === personId ? held.key : null;
}

/** Forget the key, and find out whether this person has a PIN here. */
export async function lock(personId: string): Promise<void> {
  held = null;
  lockState.value = (await hasPin(personId)) ? 'closed' : 'unset';
}

export async function setPin(personId: string, pin: string): Promise<void> {
  hold(personId, await createKey(personId, pin));
}

export async function unlock(personId: string, pin: string): Promise<void> {
  hold(personId, await openKey(personId, pin));
}

export async function setForgottenPin(personId: string, recoveryKey: string, pin: string): Promise<void> {
  hold(personId, await replacePin(personId, recoveryKey, pin));
}

function hold(personId: string, key: CryptoKey): void {
  held = { personId, key };
  lastActiveAt = Date.now();
  lockState.value = 'open';
}

/** Call back when nobody has touched the open app for some minutes. */
export function watchIdle(onIdle: () => void): void {
  const check = (): void => {
    if (held && Date.now() - lastActiveAt > IDLE_MS) onIdle();
  };
  for (const event of ['pointerdown', 'keydown', 'input']) {
    addEventListener(event, () => (check(), (lastActiveAt = Date.now())), { capture: true, passive: true });
  }
  document.addEventListener('visibilitychange', check);
  setInterval(check, CHECK_MS);
}
