import { expect, test, vi } from 'vitest';

vi.stubGlobal('localStorage', { getItem: () => null });
vi.stubGlobal('document', { documentElement: {}, createElement: () => ({}) });
const { describeAmendment } = await import('./amendedParts.ts');

const text = (zh: string): { zh: string; en: string } => ({ zh, en: zh });
const TEMPLATE = {
  title: text('入户调查'),
  sections: [
    {
      id: 's',
      title: text('全部'),
      questions: [
        { id: 'income', kind: 'income_table', label: text('收入') },
        { id: 'outside', kind: 'photo', label: text('住房外观') },
        {
          id: 'members',
          kind: 'member_table',
          label: text('成员'),
          columns: [
            { id: 'work', kind: 'choice', label: text('劳动能力'), choices: [{ code: 'full', label: text('完全') }] },
          ],
        },
        { id: 'needs', kind: 'multi_choice', label: text('困难'), choices: [{ code: 'ill', label: text('患病') }] },
        { id: 'opinion', kind: 'text', label: text('意见') },
      ],
    },
  ],
};
const MEMBERS = [{ id: 'm1', name: '宋荷岚' }];
const NAMES = new Map([['p2', '周桐岚']]);
const describe = (...differences: { pointer: string; before: unknown; after: unknown }[]) =>
  describeAmendment(differences as never, TEMPLATE, MEMBERS, NAMES);

test('a cell of the income table shows what stood and what stands', () => {
  const [part, ...others] = describe({ pointer: '/answers/income/wage/foundFen', before: 10000, after: 240000 });
  expect(others).toEqual([]);
  expect(part!.label).toMatch(/^收入 · .* · 查实（期间合计）$/);
  expect(part!.before).toBe('100.00 元');
  expect(part!.after).toBe('2,400.00 元');
});

test('a cell of a member names the member, the column and the choice', () => {
  const [part] = describe({ pointer: '/answers/members/m1/work', before: null, after: 'full' });
  expect([part!.label, part!.before, part!.after]).toEqual(['成员 · 宋荷岚 · 劳动能力', '–', '完全']);
});

test('a photo that came for another stands beside it, and its file is not a line of its own', () => {
  const parts = describe(
    { pointer: '/answers/outside/a', before: 'a', after: null },
    { pointer: '/answers/outside/b', before: null, after: 'b' },
    { pointer: '/photos/a', before: { id: 'a', sha256: 'f'.repeat(64) }, after: null },
    { pointer: '/photos/b', before: null, after: { id: 'b', sha256: 'e'.repeat(64) } },
  );
  expect(parts.length).toBe(1);
  expect(parts[0]!.photos).toEqual({ before: 'a', after: 'b' });
});

test('a choice that came for another stands beside it', () => {
  const parts = describe(
    { pointer: '/answers/needs/ill', before: 'ill', after: null },
    { pointer: '/answers/needs/old', before: null, after: 'old' },
  );
  expect(parts.map((part) => [part.before, part.after])).toEqual([['患病', 'old']]);
});

test('an income that was added says all its cells', () => {
  const [part] = describe({ pointer: '/answers/income/rent', before: null, after: { kind: 'rent', foundFen: 60000 } });
  expect(part!.before).toBe('');
  expect(part!.after).toBe('查实（期间合计）：600.00 元');
});

test('no line shows an id or a hash', () => {
  const id = '01a22dba-cd6e-7028-abfa-0750fb48c835';
  const parts = describe(
    { pointer: '/investigatorIds/p2', before: null, after: 'p2' },
    { pointer: `/photos/${id}/sha256`, before: 'a'.repeat(64), after: 'b'.repeat(64) },
    { pointer: '/answers/opinion', before: '同意', after: '不同意' },
  );
  const said = parts.flatMap((part) => [part.label, part.before, part.after]).join(' ');
  expect(said).not.toMatch(/[0-9a-f]{8}/);
  expect(said).toMatch(/周桐岚/);
});
