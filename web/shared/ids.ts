// Ids and hashes as the server makes them: UUIDv7, SHA-256 in hex, and the typed form of an id.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** RFC 9562 version 7: ordered by time. */
export function newId(now: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let place = 5, rest = now; place >= 0; place--, rest = Math.floor(rest / 256)) bytes[place] = rest % 256;
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = toHex(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const VISITS_SINCE = Date.UTC(2026, 0, 1) / 60_000;
const LAST_MINUTE = 2 ** 23;
const SHORT = 11;

/**
 * The id of a visit that begins now: UUIDv7 of this minute with 32 random bits, so that twelve characters say it to
 * somebody who types. Two of a minute out of a hundred alike: once in a million such minutes; the server keeps both.
 */
export function newVisitId(now: number = Date.now()): string {
  const minute = Math.floor(now / 60_000);
  if (minute < VISITS_SINCE || minute >= VISITS_SINCE + LAST_MINUTE) return newId(now);
  return visitId(minute, crypto.getRandomValues(new Uint32Array(1))[0]!);
}

function visitId(minute: number, random: number): string {
  const at = (minute * 60_000).toString(16).padStart(12, '0');
  return `${at.slice(0, 8)}-${at.slice(8)}-7000-8000-0000${random.toString(16).padStart(8, '0')}`;
}

/** A visit's id for typing: twelve characters with a check, or the whole id where it was made elsewhere. */
export function formatVisitCode(id: string): string {
  const [minute, random] = [parseInt(id.slice(0, 8) + id.slice(9, 13), 16) / 60_000, parseInt(id.slice(-8), 16)];
  if (!Number.isInteger(minute) || minute < VISITS_SINCE || visitId(minute, random) !== id) return formatTypedCode(id);
  let value = (BigInt(minute - VISITS_SINCE) << 32n) | BigInt(random);
  let code = '';
  for (let place = 0; place < SHORT; place++, value >>= 5n) code = ALPHABET[Number(value & 31n)] + code;
  return (code + checkOf(code)).replace(/(.{4})(?=.)/g, '$1-');
}

/** The visit behind a code, short or whole; null when it is none, or was mistyped. */
export function parseVisitCode(typed: string): string | null {
  const code = lettersOf(typed);
  if (code.length !== SHORT + 1) return parseTypedCode(typed);
  if (checkOf(code.slice(0, SHORT)) !== code[SHORT]) return null;
  const value = [...code.slice(0, SHORT)].reduce((sum, letter) => (sum << 5n) | BigInt(ALPHABET.indexOf(letter)), 0n);
  return visitId(Number(value >> 32n) + VISITS_SINCE, Number(value & 0xffffffffn));
}

/** One letter mistyped, or two in the wrong order, gives another; null where a letter is none of ours. */
function checkOf(code: string): string | null {
  const places = [...code].map((letter) => ALPHABET.indexOf(letter));
  if (places.includes(-1)) return null;
  return ALPHABET[places.reduce((sum, value, index) => sum + value * (index + 1), 0) % 31]!;
}

export async function sha256(content: BufferSource): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', content));
}

export async function sha256Hex(content: Blob | string): Promise<string> {
  return toHex(
    await sha256(typeof content === 'string' ? new TextEncoder().encode(content) : await content.arrayBuffer()),
  );
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, '0')).join('');
}

/** A UUID as 26 characters to type where nothing can be scanned; in groups, without letters that look alike. */
export function formatTypedCode(id: string): string {
  let value = BigInt(`0x${id.replace(/-/g, '')}`);
  let code = '';
  for (let place = 0; place < 26; place++, value >>= 5n) code = ALPHABET[Number(value & 31n)] + code;
  return code.replace(/(.{5})(?=.)/g, '$1-');
}

/** The id behind a typed code; null when it is none. O is read as 0, I and L as 1. */
export function parseTypedCode(typed: string): string | null {
  const code = lettersOf(typed);
  if (code.length !== 26 || code[0]! > '7') return null;
  let value = 0n;
  for (const letter of code) {
    const place = ALPHABET.indexOf(letter);
    if (place < 0) return null;
    value = (value << 5n) | BigInt(place);
  }
  const hex = value.toString(16).padStart(32, '0');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function lettersOf(typed: string): string {
  return typed
    .toUpperCase()
    .replace(/[^0-9A-Z]/g, '')
    .replace(/O/g, '0')
    .replace(/[IL]/g, '1');
}

/** The ten characters of a receipt: the twin of `receipt_short_code` in server/core/tokens.py. */
export async function computeReceiptCode(receipt: string): Promise<string> {
  const start = (await sha256(new TextEncoder().encode(receipt))).slice(0, 8);
  const value = BigInt(`0x${toHex(start)}`) >> 14n;
  let code = '';
  for (let shift = 45n; shift >= 0n; shift -= 5n) code += ALPHABET[Number((value >> shift) & 31n)];
  return code;
}
