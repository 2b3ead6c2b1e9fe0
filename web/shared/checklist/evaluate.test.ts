import jsonLogic from 'json-logic-js';
import { expect, test } from 'vitest';
import table from '../../../tests/checklists/logic_table.json';
import { isColumnVisible, evaluateAnswers, type Facts } from './evaluate.ts';
import type { Question, Template } from './template.ts';

const localized = (zh: string) => ({ zh, en: zh });
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
  const full = questions.map((question) => ({ label: localized(question.id!), ...question }) as Question);
  return {
    code: 'c',
    kind: 'intake',
    version: 1,
    title: localized('c'),
    sections: [{ id: 's', title: localized('s'), questions: full }],
  };
}

const findErrors = (template: Template, answers: Record<string, unknown>) =>
  evaluateAnswers(template, answers, facts).errors.map((error) => [error.pointer, error.code]);

test('conditions give the results of the table shared with the server', () => {
  const wrong = table.cases.filter(
    (row) => JSON.stringify(jsonLogic.apply(row.rule as never, row.data)) !== JSON.stringify(row.result),
  );
  expect(wrong).toEqual([]);
});

test('a required question is an error until its answer is not blank', () => {
  const checklist = template({ id: 'name', kind: 'text', required: true });
  expect(findErrors(checklist, { name: '  ' })).toEqual([['/answers/name', 'answer.required']]);
  expect(findErrors(checklist, { name: '王' })).toEqual([]);
});

test('the answer of a hidden question counts as missing and is not required', () => {
  const checklist = template(
    { id: 'rents', kind: 'yes_no', required: true },
    { id: 'rent', kind: 'money', required: true, visibleIf: { '===': [{ var: 'answers.rents' }, true] } },
    { id: 'high', kind: 'text', required: true, visibleIf: { '>': [{ var: 'answers.rent' }, 100] } },
  );
  const evaluation = evaluateAnswers(checklist, { rents: false, rent: 500 }, facts);
  expect(evaluation.sections[0]!.questions.map((question) => question.id)).toEqual(['rents']);
  expect(evaluation.errors).toEqual([]);
  expect(findErrors(checklist, { rents: true })).toEqual([['/answers/rent', 'answer.required']]);
});

test('photos are counted against minimum and maximum', () => {
  const checklist = template({ id: 'inside', kind: 'photo', minimum: 2, maximum: 3 });
  expect(findErrors(checklist, { inside: ['a'] })).toEqual([['/answers/inside', 'answer.too_many']]);
  expect(findErrors(checklist, { inside: ['a', 'b'] })).toEqual([]);
});

test('a constraint with severity notice does not block a submission, an error does', () => {
  const rule = { '===': [{ var: 'value' }, true] };
  const checklist = template(
    { id: 'read', kind: 'yes_no', constraint: rule, constraintMessage: localized('宣读') },
    { id: 'odd', kind: 'yes_no', constraint: rule, constraintMessage: localized('留意'), constraintSeverity: 'notice' },
  );
  const evaluation = evaluateAnswers(checklist, { read: false, odd: false }, facts);
  expect(evaluation.errors.map((error) => error.message?.zh)).toEqual(['宣读']);
  expect(evaluation.notices.map((notice) => notice.message?.zh)).toEqual(['留意']);
});

test('a member table needs a row for each member, with the columns visible for that member', () => {
  const works = {
    id: 'works',
    kind: 'yes_no' as const,
    label: localized('w'),
    required: true,
    visibleIf: { '>=': [{ var: 'member.age' }, 16] },
  };
  const checklist = template({ id: 'people', kind: 'member_table', required: true, columns: [works] });
  expect(isColumnVisible(works, { memberId: 'm1' }, {}, facts)).toBe(true);
  expect(isColumnVisible(works, { memberId: 'm2' }, {}, facts)).toBe(false);
  expect(findErrors(checklist, { people: [{ memberId: 'm1' }] })).toEqual([
    ['/answers/people/0/works', 'answer.required'],
    ['/answers/people', 'answer.missing_member'],
  ]);
});

test('income needs all four kinds, each with amounts and a period in order', () => {
  const checklist = template({ id: 'income', kind: 'income_table', required: true });
  const row = (kind: string) => ({ kind, declaredFen: 0, foundFen: 0, periodFrom: '2026-01', periodTo: '2026-10' });
  const rows = ['wages', 'business', 'property', 'transfer'].map(row);
  expect(findErrors(checklist, { income: rows })).toEqual([]);
  expect(findErrors(checklist, { income: [{ ...row('wages'), periodTo: '2025-10' }, ...rows.slice(1)] })).toEqual([
    ['/answers/income/0/periodTo', 'answer.period_inverted'],
  ]);
  expect(findErrors(checklist, { income: rows.slice(1) })).toEqual([['/answers/income', 'answer.missing_income_kind']]);
});
