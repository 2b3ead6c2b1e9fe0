import { expect, test } from 'vitest';
import { readFixTime, readTakenAt } from './photoTime.ts';

const capturedAt = '2025-11-23T02:00:00Z';

test('the camera clock counts, and an old fix is shown as its own time', () => {
  const facts = { capturedLocal: '2025-11-23T09:40:00', gpsAt: '2025-11-22T22:10:00Z' };
  expect(readTakenAt({ facts, capturedAt })).toBe('2025-11-23T09:40:00+08:00');
  expect(readFixTime({ facts, capturedAt })).toBe('2025-11-22T22:10:00Z');
});

test('a fresh fix is no fact of its own', () => {
  const facts = { capturedAt: '2025-11-23T09:40:00+08:00', gpsAt: '2025-11-23T01:39:58Z' };
  expect(readTakenAt({ facts, capturedAt })).toBe('2025-11-23T09:40:00+08:00');
  expect(readFixTime({ facts, capturedAt })).toBeNull();
});

test('older facts whose time was the fix are read by the camera clock', () => {
  const fixedAt = '2007-04-16T01:40:02Z';
  const facts = {
    capturedAt: fixedAt,
    capturedAtSource: 'gps',
    capturedLocal: '2025-11-23T09:40:00',
    gpsAt: fixedAt,
  };
  expect(readTakenAt({ facts, capturedAt })).toBe('2025-11-23T09:40:00+08:00');
  expect(readFixTime({ facts, capturedAt })).toBe(fixedAt);
});

test('without a clock in the photo the time of the phone counts', () => {
  expect(readTakenAt({ facts: null, capturedAt })).toBe(capturedAt);
  expect(readFixTime({ facts: null, capturedAt })).toBeNull();
});
