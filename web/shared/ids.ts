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

export async function sha256(content: BufferSource): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', content));
}

export async function sha256Hex(content: Blob | string): Promise<string> {
  return toHex(await sha256(typeof content === 'string' ? new TextEncoder().encode(content) : await content.arrayBuffer()));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, '0')).join('');
}

/** A UUID as 26 characters to type where nothing can be scanned; in groups, without letters that look alike. */
export function typedCode(id: string): string {
  let value = BigInt(`0x${id.replace(/-/g, '')}`);
  let code = '';
  for (let place = 0; place < 26; place++, value >>= 5n) code = ALPHABET[Number(value & 31n)] + code;
  return code.replace(/(.{5})(?=.)/g, '$1-');
}

/** The id behind a typed code; null when it is none. O is read as 0, I and L as 1. */
export function readTypedCode(typed: string): string | null {
  const code = typed.toUpperCase().replace(/[^0-9A-Z]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1');
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

/** The ten characters of a receipt: the twin of `receipt_short_code` in server/core/tokens.py. */
export async function receiptCode(receipt: string): Promise<string> {
  const start = (await sha256(new TextEncoder().encode(receipt))).slice(0, 8);
  const value = BigInt(`0x${toHex(start)}`) >> 14n;
  let code = '';
  for (let shift = 45n; shift >= 0n; shift -= 5n) code += ALPHABET[Number((value >> shift) & 31n)];
  return code;
}
