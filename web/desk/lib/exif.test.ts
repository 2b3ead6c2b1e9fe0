import { expect, test } from 'vitest';
import { readCapture } from './exif.ts';

/** Return a JPEG that holds only EXIF, big-endian as cameras write it. */
function photo(): ArrayBuffer {
  const bytes: number[] = [];
  const short = (value: number): number => bytes.push(value >> 8, value & 255);
  const long = (value: number): void => void (short(value >>> 16), short(value & 0xffff));
  const entry = (tag: number, type: number, count: number, value: number): void =>
    void (short(tag), short(type), long(count), long(value));
  const letters = (text: string): void => void bytes.push(...[...text].map((letter) => letter.charCodeAt(0)));
  letters('MM');
  short(42);
  long(8);
  short(2); // at 8: the first directory
  entry(0x8769, 4, 1, 38);
  entry(0x8825, 4, 1, 90);
  long(0);
  short(2); // at 38: EXIF
  entry(0x9003, 2, 20, 68);
  entry(0x9011, 2, 7, 200);
  long(0);
  letters('2026:11:24 09:30:00\0');
  bytes.push(0, 0);
  short(4); // at 90: GPS
  entry(1, 2, 2, 0x4e000000);
  entry(2, 5, 3, 144);
  entry(3, 2, 2, 0x45000000);
  entry(4, 5, 3, 168);
  long(0);
  for (const [over, under] of [
    [28, 1],
    [55, 1],
    [1200, 100],
    [118, 1],
    [58, 1],
    [48, 1],
  ] as const) {
    long(over);
    long(under);
  }
  while (bytes.length < 200) bytes.push(0);
  letters('+09:00\0');
  const head = [
    0xff,
    0xd8,
    0xff,
    0xe1,
    (bytes.length + 8) >> 8,
    (bytes.length + 8) & 255,
    0x45,
    0x78,
    0x69,
    0x66,
    0,
    0,
  ];
  return new Uint8Array([...head, ...bytes]).buffer;
}

test('a photo says where and when it was taken', () => {
  const taken = readCapture(photo())!;
  expect(taken.latitude).toBeCloseTo(28 + 55 / 60 + 12 / 3600, 9);
  expect(taken.longitude).toBeCloseTo(118 + 58 / 60 + 48 / 3600, 9);
  expect(taken.at).toBe('2026-11-24T09:30:00+09:00');
});

test('what says nothing of it, or is cut off, is null', () => {
  expect(readCapture(new TextEncoder().encode('no photo').buffer as ArrayBuffer)).toBeNull();
  expect(readCapture(photo().slice(0, 150))).toBeNull();
  expect(readCapture(new ArrayBuffer(0))).toBeNull();
});
