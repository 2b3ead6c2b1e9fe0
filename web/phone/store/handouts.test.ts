import { expect, test, vi } from 'vitest';
import type { TaskHome, WorkRecord } from './documents.ts';

vi.stubGlobal('localStorage', { getItem: () => null });
vi.stubGlobal('document', { documentElement: {}, createElement: () => ({}) });
const { describeDue, describeHome } = await import('./handouts.ts');

const home = {
  id: 'line',
  subjectKind: 'aid_line',
  state: 'waiting',
  milli: 2500,
  fen: null,
  unitZh: '吨',
  unitEn: 't',
};
const of = (state: string): TaskHome => ({ ...home, state }) as TaskHome;
const record = (server: object | undefined, outcome = 'handed_out'): WorkRecord =>
  ({ id: 'r', subjectId: 'line', state: 'submitted', answers: { given_outcome: outcome }, server }) as never;
const received = { state: 'submitted', receipt: 'signed' };

test('a home that this phone has handed out is never begun again, whatever the office knows by now', () => {
  expect(describeHome(of('waiting'), [], [])).toMatchObject({ state: 'open', mayBegin: true });
  for (const [state, records, expected] of [
    ['waiting', [record(undefined)], 'waiting'],
    ['waiting', [record(received)], 'received'],
    ['waiting', [record({ ...received, outcome: 'unreadable' })], 'received'],
    ['given', [record({ ...received, outcome: 'entered' })], 'given'],
    ['given', [], 'other'],
    ['closed', [], 'closed'],
  ] as const)
    expect(describeHome(of(state), [], [...records])).toMatchObject({ state: expected, mayBegin: false });
});

test('where nobody was met the home may be tried again', () => {
  const met = record({ ...received, outcome: 'entered' }, 'not_handed_out');
  expect(describeHome(of('not_given'), [], [met])).toMatchObject({ state: 'notGiven', mayBegin: true, recordId: null });
});

test('a draft is opened, never begun a second time', () => {
  const draft = { id: 'd', record: { ...record(undefined), id: 'd', state: 'draft' } } as never;
  expect(describeHome(of('waiting'), [draft], [])).toMatchObject({ state: 'draft', recordId: 'd', mayBegin: false });
});

test('what is due is shown in its unit', () => {
  expect(describeDue(of('waiting'))).toBe('2.5 吨');
  expect(describeDue({ ...of('waiting'), milli: null, fen: 20_050, unitZh: '元' })).toBe('200.50 元');
});
