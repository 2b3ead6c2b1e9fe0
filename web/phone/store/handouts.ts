// Work that is done home by home: which home a record is about, and how far each home of a task is.
import { formatYuan } from '@shared/format.ts';
import { localize } from '@shared/i18n.ts';
import type { Task, TaskHome, WorkRecord } from './documents.ts';
import type { RecordDraft } from './localDatabase.ts';
import { isRecordPending, isRecordRefused } from './pending.ts';

/** What the office has, and before that what this phone has. */
export type HomeState =
  'open' | 'draft' | 'waiting' | 'refused' | 'received' | 'given' | 'notGiven' | 'closed' | 'other';

/** Of a home in a list: how far it is, and the record that a tap opens; without one, a tap begins one, if it may. */
export interface HomeLine {
  home: TaskHome;
  state: HomeState;
  recordId: string | null;
  mayBegin: boolean;
}

const MILLI = 1000;
/** What the answers are before anybody has touched them: the usual case. */
export const USUAL_HANDOUT = {
  given_outcome: 'handed_out',
  given_to: 'head',
  given_as_agreed: true,
  signed_how: 'signature',
};

export function findTaskHome(tasks: Task[], record: WorkRecord | null): TaskHome | null {
  if (!record?.subjectId) return null;
  const homes = tasks.flatMap((task) => task.homes ?? []);
  return homes.find(({ id, subjectKind }) => id === record.subjectId && subjectKind === record.subjectKind) ?? null;
}

export function describeDue({ milli, fen, unitZh, unitEn }: TaskHome): string {
  return milli === null
    ? `${formatYuan(fen ?? 0)} ${localize([unitZh, unitEn])}`
    : `${milli / MILLI} ${localize([unitZh, unitEn])}`;
}

/** Who receives, and so has to sign. */
export function nameRecipient({ headName }: TaskHome, answers: WorkRecord['answers']): string {
  return answers['given_to'] === 'head' ? headName : String(answers['recipient_name'] ?? '').trim();
}

/** A record that hands out and that the office has not turned down: another one would hand out twice. One that the
 *  ledger could not read is with the office. */
function handsOut(record: WorkRecord): boolean {
  const outcome = record.server?.outcome;
  return record.answers['given_outcome'] === 'handed_out' && [undefined, 'entered', 'unreadable'].includes(outcome);
}

export function describeHome(home: TaskHome, drafts: RecordDraft[], records: WorkRecord[]): HomeLine {
  const own = records.filter((record) => record.subjectId === home.id && record.state === 'submitted');
  const draft = drafts.find(({ record }) => record.subjectId === home.id)?.id ?? null;
  const copy = records.find((record) => record.subjectId === home.id && record.state === 'draft')?.id ?? null;
  const refused = own.find(isRecordRefused);
  const pending = own.find(isRecordPending);
  const standing = own.find(handsOut) ?? (home.state === 'waiting' ? undefined : own[0]);
  const line = (state: HomeState, recordId: string | null = null): HomeLine => ({
    home,
    state,
    recordId,
    mayBegin: !recordId && (state === 'open' || state === 'notGiven'),
  });
  if (draft ?? copy) return line('draft', draft ?? copy);
  if (refused) return line('refused', refused.id);
  if (pending) return line('waiting', pending.id);
  if (home.state === 'given') return standing ? line('given', standing.id) : line('other');
  if (home.state === 'closed') return line('closed', standing?.id ?? null);
  if (standing && handsOut(standing)) return line('received', standing.id);
  return line(home.state === 'not_given' ? 'notGiven' : 'open');
}
