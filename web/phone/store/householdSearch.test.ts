import { expect, test } from 'vitest';
import type { Household } from './documents.ts';
import { matchesSearch, splitSearch } from './householdSearch.ts';

const HOUSEHOLD = {
  headName: '单雄信',
  number: 'YQ-0176',
  address: '溪口村3组12号',
  areaName: '溪口村',
  members: [
    { name: '单雄信', pinyin: 'danxiongxin chanxiongxin shanxiongxin dxx cxx sxx' },
    { name: '古丽·买买提', pinyin: 'gulimaimaiti glmmt' },
  ],
} as unknown as Household;

test.each([
  '单雄信',
  '雄信',
  'shanxiong',
  'dxx',
  '古丽•买买提',
  'GULI',
  'yq0176',
  'ＹＱ－０１７６',
  '溪口 shan',
  '3组 买买提',
])('a household is found by %s', (text) => expect(matchesSearch(HOUSEHOLD, splitSearch(text))).toBe(true));

test.each(['李', 'xiongxin3', 'an', 'yq0177', '溪口 李', 'shan 上村'])('a household is not found by %s', (text) =>
  expect(matchesSearch(HOUSEHOLD, splitSearch(text))).toBe(false),
);

test('a household of an earlier server, without pinyin, is found by its names', () => {
  const earlier = { ...HOUSEHOLD, members: [{ name: '单雄信' }] } as unknown as Household;
  expect([matchesSearch(earlier, ['雄信']), matchesSearch(earlier, ['dxx'])]).toEqual([true, false]);
});
