// A visit's answers as lines to read: the question in words, what was said now, what was said last time.
import type { components } from '@shared/api/wire.d.ts';
import { dayAndTime, yuan } from '@shared/format.ts';
import { listed, pick, say } from '@shared/i18n.ts';
import { INCOMES, word } from '../words.ts';

export type VisitPage = components['schemas']['VisitPage'];
export type Member = components['schemas']['MemberPage'];
interface Text {
  zh: string;
  en: string;
}
export interface Question {
  id: string;
  kind: string;
  label: Text;
  choices?: { code: string; label: Text }[];
  columns?: Question[];
}
export interface Template {
  title: Text;
  sections: { id: string; title: Text; questions: Question[] }[];
}

/** One cell of a table is a part of its own, so that a difference is marked where it is. */
export interface Part {
  now: string;
  before: string;
  differs: boolean;
}
/** A table answer: members or kinds of income down, what was asked of each across. */
export interface Table {
  columns: string[];
  rows: TableRow[];
}
/** `only`: who is listed this time alone, or was last time alone; then no cell of it is a difference of its own. */
export interface TableRow {
  title: string;
  only: 'now' | 'before' | null;
  parts: Part[];
}
export interface Line {
  id: string;
  label: string;
  kind: string;
  now: string;
  before: string;
  differs: boolean;
  table: Table | null;
  isAnswered: boolean;
}
export interface Group {
  id: string;
  title: string;
  lines: Line[];
}

const t = say({
  yes: ['是', 'Yes'],
  no: ['否', 'No'],
  yuan: ['{n} 元', '{n} yuan'],
  photos: ['{n} 张照片', '{n:photo|photos}'],
  gone: ['（名单外成员）', '(no longer listed)'],
});
// Taken anew at every visit: to differ says nothing.
const ALWAYS_NEW = new Set(['photo', 'signature', 'geopoint']);

export function groupsOf(template: Template, visit: VisitPage, members: readonly Member[]): Group[] {
  const now = (visit.document['answers'] ?? {}) as Record<string, unknown>;
  const before = visit.previous?.answers as Record<string, unknown> | undefined;
  return template.sections.map((section) => ({
    id: section.id,
    title: pick(section.title),
    lines: section.questions.map((question) =>
      lineOf(question, now[question.id], before?.[question.id], Boolean(before), members),
    ),
  }));
}

function lineOf(
  question: Question,
  now: unknown,
  before: unknown,
  compares: boolean,
  members: readonly Member[],
): Line {
  const table = tableOf(question, now, before, compares, members);
  const [nowSaid, beforeSaid] = [sayAnswer(question, now), sayAnswer(question, before)];
  const differs = table
    ? table.rows.some((row) => row.only || row.parts.some((part) => part.differs))
    : compares && !ALWAYS_NEW.has(question.kind) && nowSaid !== beforeSaid;
  return {
    id: question.id,
    label: pick(question.label),
    kind: question.kind,
    now: nowSaid,
    before: beforeSaid,
    differs,
    table,
    isAnswered: now !== undefined && now !== null,
  };
}

type Row = Record<string, unknown>;

function tableOf(
  question: Question,
  now: unknown,
  before: unknown,
  compares: boolean,
  members: readonly Member[],
): Table | null {
  if (question.kind !== 'member_table' && question.kind !== 'income_table') return null;
  const isMembers = question.kind === 'member_table';
  const key = isMembers ? 'memberId' : 'kind';
  const rows = (answer: unknown): Map<string, Row> =>
    new Map((Array.isArray(answer) ? (answer as Row[]) : []).map((row) => [String(row[key]), row]));
  const [here, there] = [rows(now), rows(before)];
  const ids = [...new Set([...here.keys(), ...there.keys()])];
  const columns = (isMembers ? (question.columns ?? []) : INCOME_COLUMNS).filter((column) =>
    ids.some((id) => here.get(id)?.[column.id] !== undefined || there.get(id)?.[column.id] !== undefined),
  );
  const onlyIn = (id: string): TableRow['only'] =>
    !compares || (here.has(id) && there.has(id)) ? null : here.has(id) ? 'now' : 'before';
  const part = (column: Question, id: string): Part => {
    const [said, was] = [sayAnswer(column, here.get(id)?.[column.id]), sayAnswer(column, there.get(id)?.[column.id])];
    return {
      now: onlyIn(id) === 'before' ? was : said,
      before: was,
      differs: compares && !onlyIn(id) && column.kind !== 'period' && said !== was,
    };
  };
  if (!ids.length) return null;
  return {
    columns: columns.map((column) => pick(column.label)),
    rows: ids.map((id) => ({
      title: isMembers ? nameOf(id, members) : word(INCOMES, id),
      only: onlyIn(id),
      parts: columns.map((column) => part(column, id)),
    })),
  };
}

// Periods move on by themselves from visit to visit.
const INCOME_COLUMNS: Question[] = [
  { id: 'declaredFen', kind: 'money', label: { zh: '申报', en: 'Declared' } },
  { id: 'foundFen', kind: 'money', label: { zh: '查实', en: 'Found' } },
  { id: 'periodFrom', kind: 'period', label: { zh: '起', en: 'From' } },
  { id: 'periodTo', kind: 'period', label: { zh: '止', en: 'To' } },
  { id: 'note', kind: 'text', label: { zh: '备注', en: 'Note' } },
];

function nameOf(id: string, members: readonly Member[]): string {
  return members.find((one) => one.id === id)?.name ?? t('gone');
}

/** An answer as one would say it; a table is said by its parts. */
function sayAnswer(question: Question, answer: unknown): string {
  if (answer === undefined || answer === null || answer === '') return '–';
  switch (question.kind) {
    case 'yes_no':
      return answer ? t('yes') : t('no');
    case 'money':
      return t('yuan', { n: yuan(Number(answer)) });
    case 'date':
    case 'period':
      return String(answer).replace(/-/g, '/'); // as days are written everywhere else
    case 'choice':
      return sayChoice(question, answer);
    case 'multi_choice':
      return listed((answer as unknown[]).map((one) => sayChoice(question, one))) || '–';
    case 'photo':
      return t('photos', { n: (answer as unknown[]).length });
    case 'signature':
      return listed((answer as { signerName: string }[]).map((one) => one.signerName));
    case 'geopoint': {
      const { latitude, longitude } = answer as { latitude: number; longitude: number };
      return `${latitude.toFixed(6)}, ${longitude.toFixed(6)}`;
    }
    case 'member_table':
    case 'income_table':
      return '';
    default:
      return String(answer);
  }
}

function sayChoice(question: Question, code: unknown): string {
  const choice = question.choices?.find((one) => one.code === code);
  return choice ? pick(choice.label) : String(code);
}

/** What an amendment's pointer points at, in words. */
export function sayPointer(pointer: string, template: Template | null): { label: string; question: Question | null } {
  const [, head = '', id = ''] = pointer.split('/');
  const question = template?.sections.flatMap((one) => one.questions).find((one) => one.id === id) ?? null;
  if (head === 'answers') return { label: question ? pick(question.label) : id, question };
  return { label: word(DOCUMENT_PARTS, head), question: null };
}

const DOCUMENT_PARTS: Record<string, [string, string]> = {
  startFix: ['开始定位', 'Start fix'],
  endFix: ['结束定位', 'End fix'],
  startedAt: ['开始时间', 'Started'],
  endedAt: ['结束时间', 'Ended'],
  photos: ['照片清单', 'Photos'],
  familyPresent: ['在场家属', 'Family present'],
  investigatorIds: ['调查人员', 'Investigators'],
  mode: ['方式', 'Mode'],
};

/** A value of a document that no question explains. */
export function sayValue(question: Question | null, value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (question && typeof value !== 'object') return sayAnswer(question, value);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) return dayAndTime(value);
  if (typeof value === 'boolean') return value ? t('yes') : t('no');
  if (typeof value === 'object')
    return Object.values(value as object)
      .filter((one) => typeof one !== 'object')
      .join(', ');
  return String(value);
}
