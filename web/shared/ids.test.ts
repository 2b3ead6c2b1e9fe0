import { expect, test } from 'vitest';
import { newId, readTypedCode, receiptCode, sha256Hex, typedCode } from './ids.ts';

test('an id is of version 7 and ordered by time', () => {
  const [early, late] = [newId(1_000_000), newId(2_000_000_000_000)];
  expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(early < late).toBe(true);
});

test('a typed code is read back, with the slips that a hand makes', () => {
  const id = newId();
  const code = typedCode(id);
  expect(readTypedCode(code)).toBe(id);
  expect(readTypedCode(code.toLowerCase().replace(/-/g, ' ').replace(/0/g, 'o').replace(/1/g, 'l'))).toBe(id);
  expect(readTypedCode(code.slice(1))).toBeNull();
  expect(readTypedCode('U'.repeat(26))).toBeNull();
});

test('hashes and receipt codes are the server’s', async () => {
  expect(await sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  // server.core.tokens.receipt_short_code("abc")
  expect(await receiptCode('abc')).toBe('Q9W1DFWF07');
});
