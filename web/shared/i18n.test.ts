import { expect, test, vi } from 'vitest';

vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined });
vi.stubGlobal('document', { documentElement: {}, createElement: () => ({}) });
const { pluralize, defineMessages, setLanguage } = await import('./i18n.ts');
const t = defineMessages({ left: ['还有 {n} 处，{who}', '{n:place|places} left, {who}'] });

test('an English noun agrees with its number', () => {
  expect(t('left', { n: 1, who: 'A' })).toBe('1 place left, A');
  expect(t('left', { n: 0, who: 'A' })).toBe('0 places left, A');
  expect(t('left', {})).toBe('{n:place|places} left, {who}');
  expect([pluralize('km', 1), pluralize('day|days', 2)]).toEqual(['km', 'days']);
});

test('a Chinese noun has a single form', () => {
  setLanguage('zh');
  expect(t('left', { n: 1, who: '甲' })).toBe('还有 1 处，甲');
  setLanguage('en');
});
