import { expect, test, vi } from 'vitest';

vi.stubGlobal('localStorage', { getItem: () => null });
vi.stubGlobal('document', { documentElement: {}, createElement: () => ({}) });
const {
  countMonths,
  formatBytes,
  formatDistance,
  formatMonthBefore,
  monthAfter,
  monthlyFen,
  parseYuan,
  today,
  formatYuan,
} = await import('./format.ts');

test('an amount is parsed as whole fen or refused', () => {
  expect(parseYuan('364.5')).toBe(36450);
  expect(parseYuan(' 0.07 ')).toBe(7);
  expect(parseYuan('1.005')).toBeNull();
  expect(parseYuan('107、47')).toBeNull();
});

test('a period counts both of its months, and one that ends before it begins counts none', () => {
  expect(countMonths('2025-11', '2026-10')).toBe(12);
  expect(countMonths('2026-03', '2026-03')).toBe(1);
  expect(countMonths('2026-03', '2026-02')).toBeNull();
  expect(countMonths('2026-03', undefined)).toBeNull();
  expect(monthlyFen(100, 12)).toBe(8);
});

test('the month before January is of the year before', () => {
  expect(formatMonthBefore('2027-01-01')).toBe('2026/12');
  expect(formatMonthBefore('2026-11-01')).toBe('2026/10');
  expect(monthAfter('2026-12-31')).toBe('2027-01');
});

test('fen are formatted as yuan', () => expect(formatYuan(123456)).toBe('1,234.56'));

test('today is the day in China, whatever the time zone of the phone', () => {
  expect(today(new Date('2026-11-23T17:00:00Z'))).toBe('2026-11-24');
});

test('a size has the fitting unit', () => {
  expect([1, 2_000_000, 11_000_000_000].map(formatBytes)).toEqual(['1 KB', '1.9 MB', '10.2 GB']);
});

test('a distance has its unit', () => {
  expect(formatDistance(849.6)).toBe('850 米');
  expect(formatDistance(12_400)).toBe('12.4 公里');
  expect(formatDistance(9_073_900)).toBe('9,074 公里');
});
