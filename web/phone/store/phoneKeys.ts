// The key that seals one person's store on this phone. It is kept twice, wrapped: by a key derived from the PIN together
// with a device key that no script can read, and by a recovery key that the server keeps and hands out to its owner.
import Dexie, { type EntityTable } from 'dexie';
import { openApiFor, unwrap } from '@shared/api/client.ts';
import { drawBytes, fromBase64, importDataKey, seal, toBase64, unseal } from './sealing.ts';

type Bytes = Uint8Array<ArrayBuffer>;

interface KeyRecord {
  personId: string;
  /** Names the recovery key at the server. */
  recoveryId: string;
  salt: Bytes;
  rounds: number;
  /** HMAC, not extractable: the PIN alone derives nothing. */
  deviceKey: CryptoKey;
  byPin: Bytes;
  byRecovery: Bytes;
  /** The recovery key, sealed by the data key, until the server has it. */
  unsent: Bytes | null;
  /** All rows of earlier versions have been sealed. */
  isConverted: boolean;
  failures: number;
  retryAt: number;
}

/** OWASP's figure for PBKDF2 with SHA-256 (2023). */
const ROUNDS = 600_000;
const KEY_BYTES = 32;
/** So many wrong PINs cost no time; then 5 s, 10 s, … 15 min. */
const FREE_FAILURES = 3;
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 15 * 60_000;

export class WrongPin extends Error {}

/** Too many wrong PINs: none is tried before this time. */
export class PinBlocked extends Error {
  constructor(readonly until: number) {
    super('too many wrong PINs');
  }
}

const keys = new Dexie('zoufang-keys') as Dexie & { keys: EntityTable<KeyRecord, 'personId'> };
keys.version(1).stores({ keys: 'personId' });

export async function hasPin(personId: string): Promise<boolean> {
  return (await keys.keys.get(personId)) !== undefined;
}

/** Draw a data key for this person's store and wrap it. */
export async function createKey(personId: string, pin: string): Promise<CryptoKey> {
  const [raw, recovery] = [drawBytes(KEY_BYTES), drawBytes(KEY_BYTES)];
  const dataKey = await importDataKey(raw);
  const deviceKey = await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const recoveryId = crypto.randomUUID();
  await keys.keys.add({
    personId,
    recoveryId,
    deviceKey,
    ...(await wrapByPin(personId, deviceKey, pin, raw)),
    byRecovery: await seal(await importDataKey(recovery), place(personId, 'recovery'), raw),
    unsent: await seal(dataKey, place(personId, 'unsent'), recovery),
    isConverted: false,
    failures: 0,
    retryAt: 0,
  });
  return dataKey;
}

/** Throws `WrongPin`, or `PinBlocked` without trying it. */
export async function openKey(personId: string, pin: string): Promise<CryptoKey> {
  const record = await find(personId);
  if (record.retryAt > Date.now() && record.retryAt <= Date.now() + LONGEST_WAIT_MS)
    throw new PinBlocked(record.retryAt);
  const failures = record.failures + 1;
  const wait =
    failures < FREE_FAILURES ? 0 : Math.min(FIRST_WAIT_MS * 2 ** (failures - FREE_FAILURES), LONGEST_WAIT_MS);
  // Counted before it is tried: closing the app in between saves no try.
  await keys.keys.update(personId, { failures, retryAt: wait && Date.now() + wait });
  const raw = await unseal(await derive(record.deviceKey, pin, record), place(personId, 'pin'), record.byPin).catch(
    () => {
      throw new WrongPin();
    },
  );
  await keys.keys.update(personId, { failures: 0, retryAt: 0 });
  return importDataKey(raw);
}

/** Set another PIN with the recovery key that the server has handed out. */
export async function replacePin(personId: string, recoveryKey: string, pin: string): Promise<CryptoKey> {
  const record = await find(personId);
  const recovery = await importDataKey(fromBase64(recoveryKey));
  const raw = await unseal(recovery, place(personId, 'recovery'), record.byRecovery);
  const byPin = await wrapByPin(personId, record.deviceKey, pin, raw);
  await keys.keys.update(personId, { ...byPin, failures: 0, retryAt: 0 });
  return importDataKey(raw);
}

export async function getRecoveryId(personId: string): Promise<string> {
  return (await find(personId)).recoveryId;
}

/** Leave the recovery key at the server, unless it is there already. */
export async function leaveRecoveryKey(personId: string, dataKey: CryptoKey): Promise<void> {
  const { recoveryId, unsent } = await find(personId);
  if (!unsent) return;
  const key = toBase64(await unseal(dataKey, place(personId, 'unsent'), unsent));
  await unwrap(openApiFor(personId).POST('/auth/v1/phone-keys', { body: { id: recoveryId, key } }));
  await keys.keys.update(personId, { unsent: null });
}

/** Run the conversion of earlier versions' rows until it has been completed. */
export async function convertOnce(personId: string, convert: () => Promise<void>): Promise<void> {
  if ((await find(personId)).isConverted) return;
  await convert();
  await keys.keys.update(personId, { isConverted: true });
}

async function find(personId: string): Promise<KeyRecord> {
  const record = await keys.keys.get(personId);
  if (!record) throw new Error('no PIN was set');
  return record;
}

async function wrapByPin(personId: string, deviceKey: CryptoKey, pin: string, raw: Bytes) {
  const derivation = { salt: drawBytes(16), rounds: ROUNDS };
  const byPin = await seal(await derive(deviceKey, pin, derivation), place(personId, 'pin'), raw);
  return { ...derivation, byPin };
}

async function derive(
  deviceKey: CryptoKey,
  pin: string,
  { salt, rounds }: Pick<KeyRecord, 'salt' | 'rounds'>,
): Promise<CryptoKey> {
  const secret = await crypto.subtle.importKey('raw', new TextEncoder().encode(pin), 'PBKDF2', false, ['deriveBits']);
  const algorithm = { name: 'PBKDF2', hash: 'SHA-256', salt, iterations: rounds };
  const bits = await crypto.subtle.deriveBits(algorithm, secret, KEY_BYTES * 8);
  return importDataKey(new Uint8Array(await crypto.subtle.sign('HMAC', deviceKey, bits)));
}

function place(personId: string, wrap: string): string {
  return `zoufang-key/${personId}/${wrap}`;
}
