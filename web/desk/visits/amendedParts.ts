// What an amendment changed, as people read it: a question, a cell of a table, photo beside photo.
import type { components } from '@shared/api/wire.d.ts';
import { formatDayAndTime } from '@shared/format.ts';
import { defineMessages, joinList, localize, withColon } from '@shared/i18n.ts';
import { getLabel, INCOME_KINDS } from '../labels.ts';
import { formatAnswer, getMemberName, INCOME_COLUMNS, type Member, type Question, type Template } from './answers.ts';

type Difference = components['schemas']['Difference'];

/** One line of the table of changes. `photos` are ids of photos that belong before and after. */
export interface AmendedPart {
  key: string;
  label: string;
  before: string;
  after: string;
  photos: { before: string | null; after: string | null } | null;
}

const t = defineMessages({
  yes: ['是', 'Yes'],
  no: ['否', 'No'],
  part: ['{question} · {part}', '{question} · {part}'],
  replaced: ['照片文件', 'Photo file'],
  changed: ['已更换', 'replaced'],
});
const DOCUMENT_PARTS: Record<string, [string, string]> = {
  startFix: ['开始定位', 'Start fix'],
  endFix: ['结束定位', 'End fix'],
  startedAt: ['开始时间', 'Started'],
  endedAt: ['结束时间', 'Ended'],
  familyPresent: ['在场家属', 'Family present'],
  investigatorIds: ['调查人员', 'Investigators'],
  mode: ['方式', 'Mode'],
};
const FIX_PARTS: Record<string, [string, string]> = {
  latitude: ['纬度', 'latitude'],
  longitude: ['经度', 'longitude'],
  accuracyM: ['精度（米）', 'accuracy (m)'],
  capturedAt: ['时间', 'time'],
};

/** Describe all differences. `names` are of members and investigators by id. */
export function describeAmendment(
  differences: readonly Difference[],
  template: Template,
  members: readonly Member[],
  names: ReadonlyMap<string, string>,
): AmendedPart[] {
  const parts: AmendedPart[] = [];
  for (const difference of differences) {
    const part = describe(difference, template, members, names);
    if (part && !pairWith(parts, part)) parts.push(part);
  }
  return parts;
}

/** What was taken out of a list and what came instead stand side by side. */
function pairWith(parts: AmendedPart[], part: AmendedPart): boolean {
  if (!part.key.endsWith('/*')) return false;
  const other = parts.find(
    (candidate) =>
      candidate.key === part.key &&
      (part.photos ? !candidate.photos?.after && part.photos.after : !candidate.after && part.after),
  );
  if (!other) return false;
  if (other.photos && part.photos) other.photos.after = part.photos.after;
  other.after = part.after;
  return true;
}

function describe(
  { pointer, before, after }: Difference,
  template: Template,
  members: readonly Member[],
  names: ReadonlyMap<string, string>,
): AmendedPart | null {
  const [, head = '', id = '', row, column] = pointer.split('/');
  const question = template.sections.flatMap((section) => section.questions).find((candidate) => candidate.id === id);
  if (head === 'answers' && question) return describeAnswer(question, row, column, before, after, members);
  // The list of files behind the answers: photos that come and go stand with their question.
  if (head === 'photos') {
    return row && before !== null && after !== null
      ? {
          key: `photos/${id}`,
          label: t('replaced'),
          before: '–',
          after: t('changed'),
          photos: { before: id, after: id },
        }
      : null;
  }
  const label = getLabel(DOCUMENT_PARTS, head);
  const name = FIX_PARTS[id];
  return {
    key: Array.isArray(before) || Array.isArray(after) || head === 'investigatorIds' ? `${head}/*` : pointer,
    label: name ? t('part', { question: label, part: localize(name) }) : label,
    before: formatPart(before, names),
    after: formatPart(after, names),
    photos: null,
  };
}

function describeAnswer(
  question: Question,
  row: string | undefined,
  column: string | undefined,
  before: unknown,
  after: unknown,
  members: readonly Member[],
): AmendedPart {
  const label = localize(question.label);
  if (question.kind === 'photo') {
    const ids = [before, after].map((value) => (Array.isArray(value) ? value[0] : value) as string | null);
    const photos = { before: ids[0] ?? null, after: ids[1] ?? null };
    return { key: `${question.id}/*`, label, before: '', after: '', photos };
  }
  if (row !== undefined && (question.kind === 'member_table' || question.kind === 'income_table')) {
    const isMembers = question.kind === 'member_table';
    const columns = isMembers ? (question.columns ?? []) : INCOME_COLUMNS;
    const title = isMembers ? getMemberName(row, members) : getLabel(INCOME_KINDS, row);
    const cell = columns.find((candidate) => candidate.id === column);
    const format = (value: unknown): string => (cell ? formatAnswer(cell, value) : formatRow(columns, value));
    return {
      key: `${question.id}/${row}/${column ?? ''}`,
      label: t('part', { question: label, part: cell ? `${title} · ${localize(cell.label)}` : title }),
      before: format(before),
      after: format(after),
      photos: null,
    };
  }
  const format = (value: unknown): string => {
    if (value === null || value === undefined) return '';
    if (row !== undefined && question.kind === 'multi_choice') return formatAnswer(question, [value]);
    if (Array.isArray(value) && question.kind.endsWith('_table'))
      return joinList(value.map((item) => formatRow(question.columns ?? INCOME_COLUMNS, item)));
    if (question.kind === 'signature')
      return formatAnswer(question, Array.isArray(value) ? value : typeof value === 'object' ? [value] : []);
    return question.kind === 'geopoint' && typeof value !== 'object' ? String(value) : formatAnswer(question, value);
  };
  return {
    key: row === undefined ? question.id : `${question.id}/*`,
    label,
    before: format(before),
    after: format(after),
    photos: null,
  };
}

/** A whole row of a table that came or went. */
function formatRow(columns: readonly Question[], row: unknown): string {
  if (typeof row !== 'object' || row === null) return '';
  const cells = row as Record<string, unknown>;
  return joinList(
    columns
      .filter((column) => cells[column.id] !== undefined && cells[column.id] !== null)
      .map((column) => withColon(localize(column.label)) + formatAnswer(column, cells[column.id])),
  );
}

function formatPart(value: unknown, names: ReadonlyMap<string, string>): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return joinList(value.map((item) => formatPart(item, names)));
  if (typeof value === 'boolean') return value ? t('yes') : t('no');
  if (typeof value === 'object') {
    const { name, ...rest } = value as { name?: string };
    return (
      name ??
      joinList(
        Object.values(rest)
          .filter((part) => typeof part !== 'object')
          .map(String),
      )
    );
  }
  const text = String(value);
  return /^\d{4}-\d\d-\d\dT/.test(text) ? formatDayAndTime(text) : (names.get(text) ?? text);
}
