import { expect, test, vi } from 'vitest';

vi.stubGlobal('localStorage', { getItem: () => null });
vi.stubGlobal('document', { documentElement: {}, createElement: () => ({}) });
const { formatMilli, parseMilli } = await import('./words.ts');

test('quantities are whole thousandths, shown without zeros at the end', () => {
  expect([81_000, 2500, 5].map(formatMilli)).toEqual(['81', '2.5', '0.005']);
  expect(['3', '2.5', '0.005', '1,5', '1.2345', ''].map(parseMilli)).toEqual([3000, 2500, 5, null, null, null]);
});
