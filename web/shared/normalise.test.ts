import { expect, test } from 'vitest';
import { makeSearchKey } from './normalise.ts';

test('a search finds a name whatever the dot between its parts', () => {
  for (const dot of ['·', '•', '・', '．', '‧', '∙', '.', ' · '])
    expect(makeSearchKey(`古丽${dot}买买提`)).toBe(makeSearchKey('古丽·买买提'));
});

test('a search finds an archive number in full-width digits, without its dash or with invisible characters', () => {
  expect(makeSearchKey('３３９９０１－００００１２')).toBe('339901000012');
  expect(makeSearchKey('\u200e339901—000012\u200b')).toBe('339901000012');
});
