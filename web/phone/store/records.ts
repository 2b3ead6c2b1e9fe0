// Records of the work beside the visits: begun from a kind, kept as a draft at every keystroke, submitted like a visit.
import { newId } from '@shared/ids.ts';
import { deleteApplication } from './applications.ts';
import { database } from './database.ts';
import type { Checklist, RecordKind, Task, TaskHome, WorkRecord } from './documents.ts';
import { createDraftWriter } from './draftWriter.ts';
import { localDatabase, putRecordDraft, type RecordDraft } from './localDatabase.ts';
import { syncNow } from './sync.ts';
import { announcePhotos, toPlain } from './visits.ts';

interface RecordKindFacts {
  /** How many people a record has to name. */
  peopleLeast?: number;
  /** It is about something that only a task names. */
  needsTask?: boolean;
  /** One record for each home of its task. */
  byHome?: boolean;
}

/** The kinds that this app knows, in the order of its list. */
export const RECORD_KINDS: Record<RecordKind, RecordKindFacts> = {
  publicity: {},
  meeting: { peopleLeast: 3 },
  posting: { needsTask: true },
  handout: { needsTask: true, byHome: true },
  application: {},
};

export function isRecordKind(kind: string): kind is RecordKind {
  return kind in RECORD_KINDS;
}

/** The newest checklist of a kind on this phone. */
export function findChecklist(checklists: Checklist[], kind: RecordKind): Checklist | undefined {
  return checklists.filter((checklist) => checklist.kind === kind).sort((a, b) => b.version - a.version)[0];
}

export async function startRecord(
  { kind, code, version }: Checklist,
  areaCode: string,
  task: Task | null = null,
  begun: { home: TaskHome; answers: WorkRecord['answers'] } | null = null,
): Promise<RecordDraft> {
  const record: WorkRecord = {
    id: newId(),
    kind: kind as RecordKind,
    checklistCode: code,
    checklistVersion: version,
    state: 'draft',
    areaCode: task?.areaCode ?? areaCode,
    taskId: task?.id ?? null,
    subjectKind: begun?.home.subjectKind ?? task?.subjectKind ?? null,
    subjectId: begun?.home.id ?? task?.subjectId ?? null,
    startedAt: new Date().toISOString(),
    endedAt: null,
    fix: null,
    noFixReason: '',
    people: [],
    answers: { ...begun?.answers },
    photos: [],
  };
  return keep(record, false);
}

async function keep(record: WorkRecord, amends: boolean): Promise<RecordDraft> {
  const draft: RecordDraft = { id: record.id, record, updatedAt: new Date().toISOString(), amends };
  await putRecordDraft(localDatabase(), draft);
  return draft;
}

const writer = createDraftWriter(putRecordDraft);

/** Called at every keystroke. Resolves when this state, or a newer one, is written. */
export function saveRecordDraft(draft: RecordDraft): Promise<void> {
  return writer.save(toPlain({ ...draft, updatedAt: new Date().toISOString() }));
}

/** Replicate a copy of the draft when its screen is left, so that a lost phone loses little. */
export async function backUpRecordDraft({ amends, record }: RecordDraft): Promise<void> {
  if (amends || !database.value) return;
  await putRecord(toPlain(record)).catch((error: unknown) => {
    if (database.value) throw error; // else the store was closed meanwhile: the draft itself is saved
  });
}

/** Write a record with the revision of the server's state it is based on, which the digests of both sides cover. */
async function putRecord({ server: _, ...fields }: WorkRecord): Promise<void> {
  const { records } = database.value!.collections;
  const stored = (await records.findOne(fields.id).exec())?.toJSON() as WorkRecord | undefined;
  await localDatabase()
    .rescued.where({ id: `records/${fields.id}` })
    .modify({ document: fields });
  const rev = stored?.server?.rev;
  await records.incrementalUpsert({ ...fields, ...(rev ? { server: { state: 'changed', rev } } : {}) });
}

/** Submit the record as final; it is pushed as soon as there is a network. */
export async function submitRecord(draft: RecordDraft): Promise<void> {
  const record = toPlain(draft.record);
  const photos = await announcePhotos(record, { subjectKind: 'record', subjectId: record.id });
  const endedAt = record.endedAt ?? new Date().toISOString();
  await putRecord({ ...record, state: 'submitted', endedAt, photos });
  await deleteDraft(draft.id);
  syncNow();
}

export async function discardRecord(draft: RecordDraft): Promise<void> {
  const stored = await database.value!.collections.records.findOne(draft.id).exec();
  if (stored && !draft.amends) await stored.incrementalRemove();
  if (!draft.amends) await localDatabase().photos.where({ visitId: draft.id }).delete();
  await deleteApplication(draft.id);
  await deleteDraft(draft.id);
}

async function deleteDraft(id: string): Promise<void> {
  await writer.forget(id); // else it would come back
  await localDatabase().recordDrafts.delete(id);
}

/** Open a submitted record again, to be sent once more with a reason; time, place and village stay as recorded. */
export async function amendRecord(record: WorkRecord): Promise<RecordDraft> {
  const { server: _, ...fields } = structuredClone(record);
  return keep({ ...fields, amendment: { reason: '', amendedAt: new Date().toISOString() } }, true);
}

/** A record that the server refused, or the copy of a draft, is a draft again. */
export async function reopenRecord(record: WorkRecord): Promise<RecordDraft> {
  const { server: _, ...fields } = structuredClone(record);
  const amends = Boolean(fields.amendment);
  return keep(amends ? fields : { ...fields, state: 'draft' }, amends);
}

const CHINA_OFFSET_MS = 8 * 3_600_000;

/** The value of an `<input type="datetime-local">` for a time, by the clock of China. */
export function toInput(at: string): string {
  return new Date(Date.parse(at) + CHINA_OFFSET_MS).toISOString().slice(0, 'YYYY-MM-DDTHH:MM'.length);
}

export function fromInput(value: string): string {
  return new Date(`${value}:00+08:00`).toISOString();
}
