import jsonLogic from 'json-logic-js';
import { expect, test } from 'vitest';
import table from '../../../tests/core/checklists/logic_table.json';
import { columnShown, readAnswers, type Facts } from './read.ts';
import type { Question, Template } from './template.ts';

const words = (zh: string) => ({ zh, en: zh });
const facts: Facts = {
  today: '2026-11-23',
  remote: false,
  householdClass: 'A',
  members: [
    { memberId: 'm1', age: 40, sex: 'male', relation: 'head' },
    { memberId: 'm2', age: 9, sex: 'female', relation: 'daughter' },
  ],
};

function template(...questions: Partial<Question>[]): Template {
  const full = questions.map((one) => ({ label: words(one.id!), ...one }) as Question);
  return {
    code: 'c',
    kind: 'intake',
    version: 1,
    title: words('c'),
    sections: [{ id: 's', title: words('s'), questions: full }],
  };
}

const lacks = (made: Template, answers: Record<string, unknown>) =>
  readAnswers(made, answers, facts).lacks.map((one) => [one.pointer, one.code]);

test('conditions give what the table shared with the server says', () => {
  const wrong = table.cases.filter(
    (one) => JSON.stringify(jsonLogic.apply(one.rule as never, one.data)) !== JSON.stringify(one.result),
  );
  expect(wrong).toEqual([]);
});

test('a required question lacks its answer until there is one that is not blank', () => {
  const made = template({ id: 'name', kind: 'text', required: true });
  expect(lacks(made, { name: '  ' })).toEqual([['/answers/name', 'answer.required']]);
  expect(lacks(made, { name: '王' })).toEqual([]);
});

test('an answer that others hide is asked of nobody and counts as none', () => {
  const made = template(
    { id: 'rents', kind: 'yes_no', required: true },
    { id: 'rent', kind: 'money', required: true, visibleIf: { '===': [{ var: 'answers.rents' }, true] } },
    { id: 'high', kind: 'text', required: true, visibleIf: { '>': [{ var: 'answers.rent' }, 100] } },
  );
  const reading = readAnswers(made, { rents: false, rent: 500 }, facts);
  expect(reading.sections[0]!.shown.map((one) => one.id)).toEqual(['rents']);
  expect(reading.lacks).toEqual([]);
  expect(lacks(made, { rents: true })).toEqual([['/answers/rent', 'answer.required']]);
});

test('photos are counted against their least and most', () => {
  const made = template({ id: 'inside', kind: 'photo', minimum: 2, maximum: 3 });
  expect(lacks(made, { inside: ['a'] })).toEqual([['/answers/inside', 'answer.too_many']]);
  expect(lacks(made, { inside: ['a', 'b'] })).toEqual([]);
});

test('a notice never blocks, an error of a constraint does', () => {
  const rule = { '===': [{ var: 'value' }, true] };
  const made = template(
    { id: 'read', kind: 'yes_no', constraint: rule, constraintMessage: words('宣读') },
    { id: 'odd', kind: 'yes_no', constraint: rule, constraintMessage: words('留意'), constraintSeverity: 'notice' },
  );
  const reading = readAnswers(made, { read: false, odd: false }, facts);
  expect(reading.lacks.map((one) => one.words?.zh)).toEqual(['宣读']);
  expect(reading.notices.map((one) => one.words?.zh)).toEqual(['留意']);
});

test('a member table has a row for everybody, and asks each what concerns them', () => {
  const works = {
    id: 'works',
    kind: 'yes_no' as const,
    label: words('w'),
    required: true,
    visibleIf: { '>=': [{ var: 'member.age' }, 16] },
  };
  const made = template({ id: 'people', kind: 'member_table', required: true, columns: [works] });
  expect(columnShown(works, { memberId: 'm1' }, {}, facts)).toBe(true);
  expect(columnShown(works, { memberId: 'm2' }, {}, facts)).toBe(false);
  expect(lacks(made, { people: [{ memberId: 'm1' }] })).toEqual([
    ['/answers/people/0/works', 'answer.required'],
    ['/answers/people', 'answer.missing_member'],
  ]);
});

test('income names all four kinds, each with amounts and months in order', () => {
  const made = template({ id: 'income', kind: 'income_table', required: true });
  const row = (kind: string) => ({ kind, declaredFen: 0, foundFen: 0, periodFrom: '2026-01', periodTo: '2026-10' });
  const rows = ['wages', 'business', 'property', 'transfer'].map(row);
  expect(lacks(made, { income: rows })).toEqual([]);
  expect(lacks(made, { income: [{ ...row('wages'), periodTo: '2025-10' }, ...rows.slice(1)] })).toEqual([
    ['/answers/income/0/periodTo', 'answer.period_inverted'],
  ]);
  expect(lacks(made, { income: rows.slice(1) })).toEqual([['/answers/income', 'answer.missing_income_kind']]);
});
