// IDs and hashes in the server's formats: UUIDv7, SHA-256 in hex, and codes for typing an ID.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Create a UUID of version 7 (RFC 9562), ordered by time. */
export function newId(now: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let position = 5, rest = now; position >= 0; position--, rest = Math.floor(rest / 256))
    bytes[position] = rest % 256;
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = toHex(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A UUID as the server writes it, in lower case, so that two spellings are one key; null for anything else. */
export function parseUuid(text: string): string | null {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : null;
}

const VISITS_SINCE = Date.UTC(2026, 0, 1) / 60_000;
const LAST_MINUTE = 2 ** 23;
const SHORT_LENGTH = 11;

/**
 * Create a visit ID: UUIDv7 of this minute with 32 random bits, so that twelve characters encode it for typing. Of a
 * hundred visits of one minute two collide once in a million such minutes; the server then keeps both.
 */
export function newVisitId(now: number = Date.now()): string {
  const minute = Math.floor(now / 60_000);
  if (minute < VISITS_SINCE || minute >= VISITS_SINCE + LAST_MINUTE) return newId(now);
  return buildVisitId(minute, crypto.getRandomValues(new Uint32Array(1))[0]!);
}

function buildVisitId(minute: number, random: number): string {
  const at = (minute * 60_000).toString(16).padStart(12, '0');
  return `${at.slice(0, 8)}-${at.slice(8)}-7000-8000-0000${random.toString(16).padStart(8, '0')}`;
}

/** Format a visit ID for typing: twelve characters with a check character, or the whole ID if another program made it. */
export function formatVisitCode(id: string): string {
  const [minute, random] = [parseInt(id.slice(0, 8) + id.slice(9, 13), 16) / 60_000, parseInt(id.slice(-8), 16)];
  if (!Number.isInteger(minute) || minute < VISITS_SINCE || buildVisitId(minute, random) !== id)
    return formatTypedCode(id);
  let value = (BigInt(minute - VISITS_SINCE) << 32n) | BigInt(random);
  let code = '';
  for (let position = 0; position < SHORT_LENGTH; position++, value >>= 5n) code = ALPHABET[Number(value & 31n)] + code;
  return (code + computeCheck(code)).replace(/(.{4})(?=.)/g, '$1-');
}

/** Parse a visit code, short or whole; null when it is invalid or mistyped. */
export function parseVisitCode(typed: string): string | null {
  const code = normalizeTyped(typed);
  if (code.length !== SHORT_LENGTH + 1) return parseTypedCode(typed);
  if (computeCheck(code.slice(0, SHORT_LENGTH)) !== code[SHORT_LENGTH]) return null;
  const value = [...code.slice(0, SHORT_LENGTH)].reduce(
    (sum, letter) => (sum << 5n) | BigInt(ALPHABET.indexOf(letter)),
    0n,
  );
  return buildVisitId(Number(value >> 32n) + VISITS_SINCE, Number(value & 0xffffffffn));
}

/** The check character: changes when a letter is mistyped or two are swapped; null for a letter outside the alphabet. */
function computeCheck(code: string): string | null {
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
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Format a UUID as 26 characters for typing, in groups, without letters that look alike. */
export function formatTypedCode(id: string): string {
  let value = BigInt(`0x${id.replace(/-/g, '')}`);
  let code = '';
  for (let position = 0; position < 26; position++, value >>= 5n) code = ALPHABET[Number(value & 31n)] + code;
  return code.replace(/(.{5})(?=.)/g, '$1-');
}

/** Parse a typed code; null when it is invalid. O is read as 0, I and L as 1. */
export function parseTypedCode(typed: string): string | null {
  const code = normalizeTyped(typed);
  if (code.length !== 26 || code[0]! > '7') return null;
  let value = 0n;
  for (const letter of code) {
    const position = ALPHABET.indexOf(letter);
    if (position < 0) return null;
    value = (value << 5n) | BigInt(position);
  }
  const hex = value.toString(16).padStart(32, '0');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function normalizeTyped(typed: string): string {
  return typed
    .toUpperCase()
    .replace(/[^0-9A-Z]/g, '')
    .replace(/O/g, '0')
    .replace(/[IL]/g, '1');
}

/** The ten-character code of a receipt, as the server computes it (`receipt_short_code`). */
export async function computeReceiptCode(receipt: string): Promise<string> {
  const start = (await sha256(new TextEncoder().encode(receipt))).slice(0, 8);
  const value = BigInt(`0x${toHex(start)}`) >> 14n;
  let code = '';
  for (let shift = 45n; shift >= 0n; shift -= 5n) code += ALPHABET[Number((value >> shift) & 31n)];
  return code;
}
