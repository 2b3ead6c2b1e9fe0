// Evaluates a checklist: which questions are visible, and which answers are missing or invalid. Mirrors the server's
// checklists/answers.py, which validates every submission again; checking here saves the caseworker a second visit.
// Types are not checked, since the fields of this app write no value of another type than their question's.
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
  /** The day of the visit in China, YYYY-MM-DD. */
  today: string;
  remote: boolean;
  householdClass: string | null;
  members: MemberFacts[];
}

export interface AnswerError {
  /** JSON pointer (RFC 6901) as in the server's errors: `/answers/members/0/health`. */
  pointer: string;
  questionId: string;
  code: string;
  params: Record<string, string | number>;
  /** The checklist's own message, for `answer.constraint`. */
  message?: { zh: string; en: string } | null;
}

export interface Evaluation {
  sections: { section: Section; questions: Question[] }[];
  errors: AnswerError[];
  notices: AnswerError[];
}

interface Scope extends Record<string, unknown> {
  members: MemberFacts[];
  answers: Answers;
}

const MAX_ITEMS = 50;
const DEFAULT_MAX_LENGTH = 2000;

/** Return the visible questions in order, the errors that block a submission, and the notices that do not. */
export function evaluateAnswers(template: Template, answers: Answers, facts: Facts): Evaluation {
  const scope = createScope(facts);
  const sections: Evaluation['sections'] = [];
  for (const section of template.sections) {
    if (!evaluateCondition(section.visibleIf, scope)) continue;
    collectVisibleAnswers(section, answers, scope);
    sections.push({ section, questions: [] });
  }
  const errors: AnswerError[] = [];
  const notices: AnswerError[] = [];
  for (const { section, questions } of sections) {
    for (const question of section.questions) {
      if (!evaluateCondition(question.visibleIf, scope)) continue;
      questions.push(question);
      for (const error of validateQuestion(question, scope)) {
        (error.code === 'answer.constraint' && error.params['severity'] === 'notice' ? notices : errors).push(error);
      }
    }
  }
  return { sections: sections.filter(({ questions }) => questions.length > 0), errors, notices };
}

// The same as the server's: a form on paper holds none of them.
const NOT_ON_PAPER = new Set(['photo', 'signature', 'geopoint']);

/** Leave out that photos, signatures and positions are missing: the photo of the form stands for them. */
export function waiveForPaper(evaluation: Evaluation): Evaluation {
  const waived = new Set(
    evaluation.sections
      .flatMap(({ questions }) => questions)
      .filter(({ kind }) => NOT_ON_PAPER.has(kind))
      .map(({ id }) => `/answers/${id}`),
  );
  return { ...evaluation, errors: evaluation.errors.filter(({ pointer }) => !waived.has(pointer)) };
}

/** Whether a column is visible in this row of a member table. */
export function isColumnVisible(column: Column, row: Row, answers: Answers, facts: Facts): boolean {
  return evaluateCondition(column.visibleIf, createRowScope({ ...createScope(facts), answers }, row));
}

function createScope(facts: Facts): Scope {
  return {
    today: facts.today,
    visit: { remote: facts.remote },
    household: { class: facts.householdClass, residence: null },
    members: facts.members,
    answers: {},
  };
}

/** Fill the scope in the order of the questions, so that an answer of a hidden question counts as missing. */
function collectVisibleAnswers(section: Section, answers: Answers, scope: Scope): void {
  for (const question of section.questions) {
    const answer = answers[question.id];
    if (answer === null || answer === undefined || !evaluateCondition(question.visibleIf, scope)) continue;
    scope.answers[question.id] =
      question.kind === 'member_table'
        ? (answer as Row[]).map((row) => keepVisibleCells(question, row, scope))
        : answer;
  }
}

function keepVisibleCells(table: Question, row: Row, scope: Scope): Row {
  const visible: Row = { memberId: row.memberId };
  for (const column of table.columns ?? []) {
    const cell = row[column.id];
    if (cell !== null && cell !== undefined && evaluateCondition(column.visibleIf, createRowScope(scope, visible)))
      visible[column.id] = cell;
  }
  return visible;
}

function createRowScope(scope: Scope, row: Row): Scope {
  return { ...scope, row, member: scope.members.find((member) => member.memberId === row.memberId) ?? {} };
}

function evaluateCondition(condition: object | null | undefined, scope: Record<string, unknown>): boolean {
  return !condition || jsonLogic.truthy(jsonLogic.apply(condition as jsonLogic.RulesLogic, scope));
}

function* validateQuestion(question: Question, scope: Scope): Generator<AnswerError> {
  const at = `/answers/${question.id}`;
  yield* validateCell(question, scope.answers[question.id], scope, at, question.id);
  if (question.kind === 'member_table') yield* validateMemberTable(question, scope, at);
}

function* validateCell(
  cell: Column,
  answer: unknown,
  scope: Scope,
  pointer: string,
  questionId: string,
): Generator<AnswerError> {
  const createError = (
    code: string,
    params: AnswerError['params'] = {},
    more: Partial<AnswerError> = {},
  ): AnswerError => ({
    pointer,
    questionId,
    code,
    params,
    ...more,
  });
  if (isBlank(answer)) {
    if (cell.required) yield createError('answer.required');
    return;
  }
  if (cell.kind === 'text') {
    const maxLength = cell.maxLength ?? DEFAULT_MAX_LENGTH;
    if ([...(answer as string)].length > maxLength) yield createError('answer.too_long', { maxLength });
  } else if (cell.kind === 'integer' || cell.kind === 'money') {
    if (!isInRange(cell, answer as number)) yield createError('answer.out_of_range', getRange(cell));
  } else if (cell.kind === 'photo' || cell.kind === 'signature' || cell.kind === 'multi_choice') {
    const minimum = cell.minimum ?? 0;
    const maximum = cell.maximum ?? MAX_ITEMS;
    const count = (answer as unknown[]).length;
    if (count < minimum || count > maximum) yield createError('answer.too_many', { minimum, maximum, count });
  } else if (cell.kind === 'income_table') {
    yield* validateIncome(cell, answer as IncomeRow[], pointer, questionId);
  }
  if (cell.constraint && !evaluateCondition(cell.constraint, { ...scope, value: answer })) {
    yield createError(
      'answer.constraint',
      { severity: cell.constraintSeverity ?? 'error' },
      { message: cell.constraintMessage },
    );
  }
}

function* validateIncome(cell: Column, rows: IncomeRow[], at: string, questionId: string): Generator<AnswerError> {
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
      else if (field.endsWith('Fen') && !isInRange(cell, value as number)) {
        yield { pointer, questionId, code: 'answer.out_of_range', params: getRange(cell) };
      }
    }
    if (row.periodFrom && row.periodTo && row.periodTo < row.periodFrom) {
      yield { pointer: `${at}/${index}/periodTo`, questionId, code: 'answer.period_inverted', params: {} };
    }
  }
}

function* validateMemberTable(table: Question, scope: Scope, at: string): Generator<AnswerError> {
  const rows = scope.answers[table.id] as Row[] | undefined;
  if (!rows) return;
  for (const [index, row] of rows.entries()) {
    const rowScope = createRowScope(scope, row);
    for (const column of table.columns ?? []) {
      if (!evaluateCondition(column.visibleIf, rowScope)) continue;
      yield* validateCell(column, row[column.id], rowScope, `${at}/${index}/${column.id}`, table.id);
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

function isInRange(cell: Column, amount: number): boolean {
  const { minimum, maximum } = getRange(cell);
  return amount >= minimum && amount <= maximum;
}

function getRange(cell: Column): { minimum: number; maximum: number } {
  return {
    minimum: cell.minimum ?? -Number.MAX_SAFE_INTEGER,
    maximum: cell.maximum ?? Number.MAX_SAFE_INTEGER,
  };
}
