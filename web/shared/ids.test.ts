import { expect, test } from 'vitest';
import {
  newId,
  newVisitId,
  parseTypedCode,
  parseUuid,
  parseVisitCode,
  computeReceiptCode,
  sha256Hex,
  formatTypedCode,
  formatVisitCode,
} from './ids.ts';

test('an ID has version 7 and is ordered by time', () => {
  const [early, late] = [newId(1_000_000), newId(2_000_000_000_000)];
  expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(early < late).toBe(true);
});

test('a typed code is parsed despite common typing slips', () => {
  const id = newId();
  const code = formatTypedCode(id);
  expect(parseTypedCode(code)).toBe(id);
  expect(parseTypedCode(code.toLowerCase().replace(/-/g, ' ').replace(/0/g, 'o').replace(/1/g, 'l'))).toBe(id);
  expect(parseTypedCode(code.slice(1))).toBeNull();
  expect(parseTypedCode('U'.repeat(26))).toBeNull();
});

test('a visit code has twelve characters and is parsed despite common typing slips', () => {
  const ids = new Set(Array.from({ length: 200 }, () => newVisitId()));
  expect(ids.size).toBe(200);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const code = formatVisitCode(id);
    expect(code).toMatch(/^[0-9A-Z]{4}(-[0-9A-Z]{4}){2}$/);
    expect(parseVisitCode(code)).toBe(id);
    expect(parseVisitCode(code.toLowerCase().replace(/-/g, '').replace(/0/g, 'o').replace(/1/g, 'i'))).toBe(id);
  }
});

test('a mistyped visit code is refused', () => {
  const code = formatVisitCode(newVisitId()).replace(/-/g, '');
  for (let position = 0; position < 11; position++) {
    const other = code[position] === '7' ? '8' : '7';
    expect(parseVisitCode(code.slice(0, position) + other + code.slice(position + 1))).toBeNull();
    const [a, b] = [code[position]!, code[position + 1]!];
    const swapped = code.slice(0, position) + b + a + code.slice(position + 2);
    if (position < 10 && a !== b && Math.abs('0Z'.indexOf(a) - '0Z'.indexOf(b)) !== 1)
      expect(parseVisitCode(swapped)).toBeNull();
  }
  expect(parseVisitCode(code.slice(1))).toBeNull();
});

test('a visit of a wrong clock or another program is encoded by its whole ID', () => {
  for (const id of [newVisitId(Date.UTC(2019, 0, 1)), newVisitId(Date.UTC(2050, 0, 1)), newId()]) {
    expect(formatVisitCode(id)).toBe(formatTypedCode(id));
    expect(parseVisitCode(formatVisitCode(id))).toBe(id);
  }
});

test('hashes and receipt codes are the server’s', async () => {
  expect(await sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  // server.core.tokens.receipt_short_code("abc")
  expect(await computeReceiptCode('abc')).toBe('Q9W1DFWF07');
});

test('a UUID in upper case is the same key as in lower case', () => {
  const id = newId();
  expect(parseUuid(id.toUpperCase())).toBe(id);
  expect(parseUuid(`${id}0`)).toBeNull();
});
