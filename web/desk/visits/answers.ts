// Format a visit's answers as lines: question, answer now, answer at the previous visit.
import type { components } from '@shared/api/wire.d.ts';
import { countMonths, formatYuan, monthlyFen } from '@shared/format.ts';
import { joinList, localize, defineMessages } from '@shared/i18n.ts';
import { INCOME_KINDS, getLabel } from '../labels.ts';

export type VisitDetail = components['schemas']['VisitDetail'];
export type Member = Pick<components['schemas']['MemberDetail'], 'id' | 'name'>;
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

/** One cell of a table answer; differences are marked per cell. */
export interface AnswerCell {
  now: string;
  before: string;
  differs: boolean;
}
/** A table answer: members or kinds of income as rows, the questions about each as columns. */
export interface AnswerTable {
  columns: string[];
  rows: AnswerRow[];
}
/** `only`: the row is listed at one of the two visits only; its cells are then not marked as different. */
export interface AnswerRow {
  title: string;
  only: 'now' | 'before' | null;
  parts: AnswerCell[];
}
export interface AnswerLine {
  id: string;
  label: string;
  kind: string;
  now: string;
  before: string;
  differs: boolean;
  table: AnswerTable | null;
  isAnswered: boolean;
}
export interface AnswerGroup {
  id: string;
  title: string;
  lines: AnswerLine[];
}

const t = defineMessages({
  yes: ['是', 'Yes'],
  no: ['否', 'No'],
  yuan: ['{n} 元', '{n} yuan'],
  monthly: ['{total}（每月 {n} 元）', '{total} ({n} a month)'],
  photos: ['{n} 张照片', '{n:photo|photos}'],
  gone: ['（名单外成员）', '(no longer listed)'],
});
// Recorded anew at every visit, so a difference means nothing.
const ALWAYS_NEW = new Set(['photo', 'signature', 'geopoint']);

export function groupAnswers(template: Template, visit: VisitDetail, members: readonly Member[]): AnswerGroup[] {
  const now = (visit.document['answers'] ?? {}) as Record<string, unknown>;
  const before = visit.previous?.answers as Record<string, unknown> | undefined;
  return template.sections.map((section) => ({
    id: section.id,
    title: localize(section.title),
    lines: section.questions.map((question) =>
      buildLine(question, now[question.id], before?.[question.id], Boolean(before), members),
    ),
  }));
}

function buildLine(
  question: Question,
  now: unknown,
  before: unknown,
  compares: boolean,
  members: readonly Member[],
): AnswerLine {
  const table = buildTable(question, now, before, compares, members);
  const [nowText, beforeText] = [formatAnswer(question, now), formatAnswer(question, before)];
  const differs = table
    ? table.rows.some((row) => row.only || row.parts.some((buildCell) => buildCell.differs))
    : compares && !ALWAYS_NEW.has(question.kind) && nowText !== beforeText;
  return {
    id: question.id,
    label: localize(question.label),
    kind: question.kind,
    now: nowText,
    before: beforeText,
    differs,
    table,
    isAnswered: now !== undefined && now !== null,
  };
}

type RawRow = Record<string, unknown>;

function buildTable(
  question: Question,
  now: unknown,
  before: unknown,
  compares: boolean,
  members: readonly Member[],
): AnswerTable | null {
  if (question.kind !== 'member_table' && question.kind !== 'income_table') return null;
  const isMembers = question.kind === 'member_table';
  const key = isMembers ? 'memberId' : 'kind';
  const indexRows = (answer: unknown): Map<string, RawRow> =>
    new Map((Array.isArray(answer) ? (answer as RawRow[]) : []).map((row) => [String(row[key]), row]));
  const [nowById, beforeById] = [indexRows(now), indexRows(before)];
  const ids = [...new Set([...nowById.keys(), ...beforeById.keys()])];
  const columns = (isMembers ? (question.columns ?? []) : INCOME_COLUMNS).filter((column) =>
    ids.some((id) => nowById.get(id)?.[column.id] !== undefined || beforeById.get(id)?.[column.id] !== undefined),
  );
  const findOnlySide = (id: string): AnswerRow['only'] =>
    !compares || (nowById.has(id) && beforeById.has(id)) ? null : nowById.has(id) ? 'now' : 'before';
  const buildCell = (column: Question, id: string): AnswerCell => {
    const [current, previous] = [formatCell(column, nowById.get(id)), formatCell(column, beforeById.get(id))];
    return {
      now: findOnlySide(id) === 'before' ? previous : current,
      before: previous,
      differs: compares && !findOnlySide(id) && column.kind !== 'period' && current !== previous,
    };
  };
  if (!ids.length) return null;
  return {
    columns: columns.map((column) => localize(column.label)),
    rows: ids.map((id) => ({
      title: isMembers ? getMemberName(id, members) : getLabel(INCOME_KINDS, id),
      only: findOnlySide(id),
      parts: columns.map((column) => buildCell(column, id)),
    })),
  };
}

// A difference of periods is not marked: they advance with every visit.
export const INCOME_COLUMNS: Question[] = [
  { id: 'declaredFen', kind: 'money', label: { zh: '申报（期间合计）', en: 'Declared (total of the period)' } },
  { id: 'foundFen', kind: 'money', label: { zh: '查实（期间合计）', en: 'Found (total of the period)' } },
  { id: 'periodFrom', kind: 'period', label: { zh: '起', en: 'From' } },
  { id: 'periodTo', kind: 'period', label: { zh: '止', en: 'To' } },
  { id: 'note', kind: 'text', label: { zh: '备注', en: 'Note' } },
];

/** Format a cell of a table; a total over a period also says what it is a month. */
function formatCell(column: Question, row: RawRow | undefined): string {
  const text = formatAnswer(column, row?.[column.id]);
  const months = countMonths(row?.['periodFrom'] as string | undefined, row?.['periodTo'] as string | undefined);
  if (!INCOME_COLUMNS.includes(column) || column.kind !== 'money' || months === null || text === '–') return text;
  return t('monthly', { total: text, n: formatYuan(monthlyFen(Number(row?.[column.id]), months)) });
}

export function getMemberName(id: string, members: readonly Member[]): string {
  return members.find((member) => member.id === id)?.name ?? t('gone');
}

/** Format an answer; tables are formatted by cell. */
export function formatAnswer(question: Question, answer: unknown): string {
  if (answer === undefined || answer === null || answer === '') return '–';
  switch (question.kind) {
    case 'yes_no':
      return answer ? t('yes') : t('no');
    case 'money':
      return t('yuan', { n: formatYuan(Number(answer)) });
    case 'date':
    case 'period':
      return String(answer).replace(/-/g, '/'); // the date format of all screens
    case 'choice':
      return formatChoice(question, answer);
    case 'multi_choice':
      return joinList((answer as unknown[]).map((code) => formatChoice(question, code))) || '–';
    case 'photo':
      return t('photos', { n: (answer as unknown[]).length });
    case 'signature':
      return joinList((answer as { signerName: string }[]).map((signature) => signature.signerName));
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

function formatChoice(question: Question, code: unknown): string {
  const choice = question.choices?.find((choice) => choice.code === code);
  return choice ? localize(choice.label) : String(code);
}
