// The twin of server/core/checklists/answers.py: which questions are asked now, and what a submission still lacks.
// The server decides again; here it saves the caseworker a second walk to the home. Only what the fields of this app
// can get wrong is checked: they write no answer of another kind than their question's.
import jsonLogic from 'json-logic-js';
import { INCOME_KINDS, type Column, type Question, type Section, type Template } from './template.ts';

export type Answers = Record<string, unknown>;
export type Row = { memberId: string } & Record<string, unknown>;

export interface SignatureItem {
  evidenceId: string;
  signerName: string;
  signedAt: string;
  memberId?: string | null;
}

export interface IncomeRow {
  kind: string;
  declaredFen?: number | null;
  foundFen?: number | null;
  periodFrom?: string | null;
  periodTo?: string | null;
  note?: string;
}

export interface MemberFacts {
  memberId: string;
  age: number | null;
  sex: string | null;
  relation: string | null;
}

export interface Facts {
  /** The day of the visit in China. */
  today: string;
  remote: boolean;
  householdClass: string | null;
  members: MemberFacts[];
}

export interface Lack {
  /** RFC 6901, as the server points: `/answers/members/0/health`. */
  pointer: string;
  questionId: string;
  code: string;
  params: Record<string, string | number>;
  /** The checklist's own sentence, for `answer.constraint`. */
  words?: { zh: string; en: string } | null;
}

export interface Reading {
  sections: { section: Section; shown: Question[] }[];
  lacks: Lack[];
  notices: Lack[];
}

interface Scope extends Record<string, unknown> {
  members: MemberFacts[];
  answers: Answers;
}

const MAX_ITEMS = 50;
const DEFAULT_MAX_LENGTH = 2000;

/** What is asked, in the order of asking, and everything that keeps these answers from being submitted. */
export function readAnswers(template: Template, answers: Answers, facts: Facts): Reading {
  const scope = context(facts);
  const sections: Reading['sections'] = [];
  for (const section of template.sections) {
    if (!holds(section.visibleIf, scope)) continue;
    collect(section, answers, scope);
    sections.push({ section, shown: [] });
  }
  const found: Lack[] = [];
  const notices: Lack[] = [];
  for (const { section, shown } of sections) {
    for (const question of section.questions) {
      if (!holds(question.visibleIf, scope)) continue;
      shown.push(question);
      for (const lack of lacksOf(question, scope)) {
        (lack.code === 'answer.constraint' && lack.params['severity'] === 'notice' ? notices : found).push(lack);
      }
    }
  }
  return { sections: sections.filter(({ shown }) => shown.length > 0), lacks: found, notices };
}

/** Whether a column is asked in this row of a member table. */
export function columnShown(column: Column, row: Row, answers: Answers, facts: Facts): boolean {
  return holds(column.visibleIf, rowScope({ ...context(facts), answers }, row));
}

function context(facts: Facts): Scope {
  return {
    today: facts.today,
    visit: { remote: facts.remote },
    household: { class: facts.householdClass, residence: null },
    members: facts.members,
    answers: {},
  };
}

/** Fills the scope in the order of asking: an answer that others hide counts as none. */
function collect(section: Section, answers: Answers, scope: Scope): void {
  for (const question of section.questions) {
    const answer = answers[question.id];
    if (answer === null || answer === undefined || !holds(question.visibleIf, scope)) continue;
    scope.answers[question.id] =
      question.kind === 'member_table' ? (answer as Row[]).map((row) => keptRow(question, row, scope)) : answer;
  }
}

function keptRow(table: Question, row: Row, scope: Scope): Row {
  const kept: Row = { memberId: row.memberId };
  for (const column of table.columns ?? []) {
    const cell = row[column.id];
    if (cell !== null && cell !== undefined && holds(column.visibleIf, rowScope(scope, kept))) kept[column.id] = cell;
  }
  return kept;
}

function rowScope(scope: Scope, row: Row): Scope {
  return { ...scope, row, member: scope.members.find((one) => one.memberId === row.memberId) ?? {} };
}

function holds(rule: object | null | undefined, scope: Record<string, unknown>): boolean {
  return !rule || jsonLogic.truthy(jsonLogic.apply(rule as jsonLogic.RulesLogic, scope));
}

function* lacksOf(question: Question, scope: Scope): Generator<Lack> {
  const at = `/answers/${question.id}`;
  yield* cellLacks(question, scope.answers[question.id], scope, at, question.id);
  if (question.kind === 'member_table') yield* tableLacks(question, scope, at);
}

function* cellLacks(cell: Column, answer: unknown, scope: Scope, pointer: string, questionId: string): Generator<Lack> {
  const lack = (code: string, params: Lack['params'] = {}, more: Partial<Lack> = {}): Lack => ({
    pointer,
    questionId,
    code,
    params,
    ...more,
  });
  if (isBlank(answer)) {
    if (cell.required) yield lack('answer.required');
    return;
  }
  if (cell.kind === 'text') {
    const maxLength = cell.maxLength ?? DEFAULT_MAX_LENGTH;
    if ([...(answer as string)].length > maxLength) yield lack('answer.too_long', { maxLength });
  } else if (cell.kind === 'integer' || cell.kind === 'money') {
    if (!inRange(cell, answer as number)) yield lack('answer.out_of_range', rangeOf(cell));
  } else if (cell.kind === 'photo' || cell.kind === 'signature' || cell.kind === 'multi_choice') {
    const least = cell.minimum ?? 0;
    const most = cell.maximum ?? MAX_ITEMS;
    const count = (answer as unknown[]).length;
    if (count < least || count > most) yield lack('answer.too_many', { minimum: least, maximum: most, count });
  } else if (cell.kind === 'income_table') {
    yield* incomeLacks(cell, answer as IncomeRow[], pointer, questionId);
  }
  if (cell.constraint && !holds(cell.constraint, { ...scope, value: answer })) {
    yield lack(
      'answer.constraint',
      { severity: cell.constraintSeverity ?? 'error' },
      { words: cell.constraintMessage },
    );
  }
}

function* incomeLacks(cell: Column, rows: IncomeRow[], at: string, questionId: string): Generator<Lack> {
  for (const kind of Object.keys(INCOME_KINDS)) {
    if (!rows.some((row) => row.kind === kind)) {
      yield { pointer: at, questionId, code: 'answer.missing_income_kind', params: { kind } };
    }
  }
  for (const [index, row] of rows.entries()) {
    for (const field of ['declaredFen', 'foundFen', 'periodFrom', 'periodTo'] as const) {
      const pointer = `${at}/${index}/${field}`;
      const value = row[field];
      if (value === null || value === undefined) yield { pointer, questionId, code: 'answer.required', params: {} };
      else if (field.endsWith('Fen') && !inRange(cell, value as number)) {
        yield { pointer, questionId, code: 'answer.out_of_range', params: rangeOf(cell) };
      }
    }
    if (row.periodFrom && row.periodTo && row.periodTo < row.periodFrom) {
      yield { pointer: `${at}/${index}/periodTo`, questionId, code: 'answer.period_inverted', params: {} };
    }
  }
}

function* tableLacks(table: Question, scope: Scope, at: string): Generator<Lack> {
  const rows = scope.answers[table.id] as Row[] | undefined;
  if (!rows) return;
  for (const [index, row] of rows.entries()) {
    const inRow = rowScope(scope, row);
    for (const column of table.columns ?? []) {
      if (!holds(column.visibleIf, inRow)) continue;
      yield* cellLacks(column, row[column.id], inRow, `${at}/${index}/${column.id}`, table.id);
    }
  }
  for (const member of table.required && rows.length ? scope.members : []) {
    if (!rows.some((row) => row.memberId === member.memberId)) {
      yield { pointer: at, questionId: table.id, code: 'answer.missing_member', params: { memberId: member.memberId } };
    }
  }
}

function isBlank(answer: unknown): boolean {
  return (
    answer === null ||
    answer === undefined ||
    (Array.isArray(answer) && answer.length === 0) ||
    (typeof answer === 'string' && !answer.trim())
  );
}

function inRange(cell: Column, amount: number): boolean {
  const { minimum, maximum } = rangeOf(cell);
  return amount >= minimum && amount <= maximum;
}

function rangeOf(cell: Column): { minimum: number; maximum: number } {
  return {
    minimum: cell.minimum ?? -Number.MAX_SAFE_INTEGER,
    maximum: cell.maximum ?? Number.MAX_SAFE_INTEGER,
  };
}
