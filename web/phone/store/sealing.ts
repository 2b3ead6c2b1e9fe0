// Seals what the phone keeps by AES-GCM. Everything sealed is bound to its place, so that it opens nowhere else.
const IV_BYTES = 12;
const SEALED_TYPE = 'application/x-zoufang-sealed';

type Bytes = Uint8Array<ArrayBuffer>;

/** The data key of raw bytes; it can be used from now on, and not read. */
export function importDataKey(raw: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

export function drawBytes(count: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** Encrypt for this place; the random nonce stands before the ciphertext. */
export async function seal(key: CryptoKey, place: string, plain: Bytes): Promise<Bytes> {
  const iv = drawBytes(IV_BYTES);
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: encode(place) }, key, plain);
  const result = new Uint8Array(IV_BYTES + sealed.byteLength);
  result.set(iv);
  result.set(new Uint8Array(sealed), IV_BYTES);
  return result;
}

/** Decrypt what was sealed for this place. Throws when the key is another's or something was altered or moved. */
export async function unseal(key: CryptoKey, place: string, sealed: Bytes): Promise<Bytes> {
  const algorithm = { name: 'AES-GCM', iv: sealed.slice(0, IV_BYTES), additionalData: encode(place) };
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, sealed.slice(IV_BYTES)));
}

export function sealJson(key: CryptoKey, place: string, value: unknown): Promise<Bytes> {
  return seal(key, place, encode(JSON.stringify(value)));
}

export async function unsealJson(key: CryptoKey, place: string, sealed: Bytes): Promise<object> {
  return JSON.parse(new TextDecoder().decode(await unseal(key, place, sealed))) as object;
}

export async function sealBlob(key: CryptoKey, place: string, blob: Blob): Promise<Blob> {
  if (isSealedBlob(blob)) return blob;
  return new Blob([await seal(key, place, new Uint8Array(await blob.arrayBuffer()))], { type: SEALED_TYPE });
}

/** A blob that an earlier version kept in clear is returned as it is. */
export async function unsealBlob(key: CryptoKey, place: string, blob: Blob, mediaType: string): Promise<Blob> {
  if (!isSealedBlob(blob)) return blob;
  return new Blob([await unseal(key, place, new Uint8Array(await blob.arrayBuffer()))], { type: mediaType });
}

export function isSealedBlob(blob: Blob): boolean {
  return blob.type === SEALED_TYPE;
}

export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function encode(text: string): Bytes {
  return new TextEncoder().encode(text) as Bytes;
}
