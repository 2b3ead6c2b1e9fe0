// A visit from its first fix to its submission. Until then it is a draft in the local database; on submission it is
// written into the replicated database together with the evidence documents of its photos.
import { toRaw } from 'vue';
import { newId, newVisitId, parseUuid, sha256Hex } from '@shared/ids.ts';
import type { Assignment, Attestation, Evidence, Fix, Household, LastAnswers, Visit } from './documents.ts';
import { database } from './database.ts';
import { createDraftWriter } from './draftWriter.ts';
import {
  localDatabase,
  putDraft,
  sealPhoto,
  type Draft,
  type Photo,
  type PhotoSource,
  type UnorderedKinds,
} from './localDatabase.ts';
import { syncNow } from './sync.ts';
import { createThumbnail } from '../device/thumbnails.ts';

export async function startVisit(assignment: Assignment, author: { personId: string; name: string }): Promise<Draft> {
  const drafts = await localDatabase().drafts.toArray();
  const existing = drafts.find((draft) => draft.visit.assignmentId === assignment.id && !draft.amends);
  if (existing) return existing;
  const partner = assignment.partnerId ? [assignment.partnerId] : [];
  const names = {
    [author.personId]: author.name,
    ...(partner[0] ? { [partner[0]]: assignment.partnerName ?? '' } : {}),
  };
  const copies = (await database.value!.collections.visits.find().exec()).map((visit) => visit.toJSON() as Visit);
  const copy = copies.find((visit) => visit.assignmentId === assignment.id && isOwnDraft(visit, author.personId));
  const lastAnswers = assignment.lastAnswers ?? null; // an earlier server sends none
  if (copy) return recoverDraft(copy, names, lastAnswers);
  return createDraft(
    {
      householdId: assignment.householdId,
      assignmentId: assignment.id,
      kind: assignment.kind,
      checklistCode: assignment.checklistCode,
      checklistVersion: assignment.checklistVersion,
      investigatorIds: [author.personId, ...partner.filter((id) => id !== author.personId)],
      ...(lastAnswers ? { unchanged: [] } : {}),
    },
    names,
    lastAnswers,
  );
}

/** Begin a visit that nobody ordered, or go on with the one of this kind that was begun. */
export async function startUnorderedVisit(
  householdId: string,
  { kind, checklistCode, checklistVersion }: UnorderedKinds['kinds'][number],
  unorderedReason: string,
  author: { personId: string; name: string },
): Promise<Draft> {
  const begun = await findUnorderedDraft(householdId, kind);
  if (begun) return begun;
  return createDraft(
    {
      householdId,
      assignmentId: null,
      unorderedReason,
      kind,
      checklistCode,
      checklistVersion,
      investigatorIds: [author.personId],
    },
    { [author.personId]: author.name },
  );
}

async function findUnorderedDraft(householdId: string, kind: string): Promise<Draft | undefined> {
  const drafts = await localDatabase().drafts.toArray();
  return drafts.find((draft) => isUnorderedDraft(draft, householdId) && draft.visit.kind === kind);
}

/** A visit to this home that was begun without an order. */
export function isUnorderedDraft({ visit, amends }: Draft, householdId: string): boolean {
  return !amends && visit.assignmentId === null && visit.householdId === householdId;
}

type Begun = Pick<
  Visit,
  | 'householdId'
  | 'assignmentId'
  | 'unorderedReason'
  | 'kind'
  | 'checklistCode'
  | 'checklistVersion'
  | 'investigatorIds'
  | 'unchanged'
>;

async function createDraft(
  begun: Begun,
  names: Record<string, string>,
  lastAnswers: LastAnswers | null = null,
): Promise<Draft> {
  const visit: Visit = {
    id: newVisitId(),
    ...begun,
    state: 'draft',
    mode: 'in_person',
    modeReason: '',
    startedAt: null,
    endedAt: null,
    startFix: null,
    endFix: null,
    familyPresent: [],
    answers: {},
    photos: [],
  };
  const updatedAt = new Date().toISOString();
  const draft: Draft = { id: visit.id, visit, names, updatedAt, step: 0, amends: null, lastAnswers };
  await localDatabase().drafts.put(draft);
  return draft;
}

/** A visit that this person began, here or on a lost phone, and has not submitted. */
export function isOwnDraft(visit: Visit, personId: string): boolean {
  return visit.state === 'draft' && visit.investigatorIds[0] === personId;
}

/** Restore a draft from the server's copy; photos that are not on this phone are removed from its answers. */
export async function recoverDraft(
  copy: Visit,
  names: Record<string, string>,
  lastAnswers: LastAnswers | null = null,
): Promise<Draft> {
  const { server: _, ...fields } = structuredClone(copy);
  const photosHere = new Set(
    (await localDatabase().photos.where({ visitId: copy.id }).toArray()).map((photo) => photo.id),
  );
  const missing = new Set(listEvidenceIds(fields.answers).filter((id) => !photosHere.has(id)));
  for (const [question, answer] of Object.entries(fields.answers)) {
    if (!Array.isArray(answer)) continue;
    fields.answers[question] = answer.filter((item) => !missing.has(getEvidenceId(item) ?? ''));
    if (answer.length && !(fields.answers[question] as unknown[]).length) delete fields.answers[question];
  }
  const draft: Draft = {
    id: copy.id,
    visit: fields,
    names,
    updatedAt: new Date().toISOString(),
    step: 0,
    amends: null,
    recovered: missing.size > 0,
    lastAnswers,
  };
  await localDatabase().drafts.put(draft);
  return draft;
}

const writer = createDraftWriter(putDraft);

/** Called at every keystroke. Resolves when this state, or a newer one, is written. */
export function saveDraft(draft: Draft): Promise<void> {
  return writer.save(toPlain({ ...draft, updatedAt: new Date().toISOString() }));
}

async function deleteDraft(id: string): Promise<void> {
  await writer.forget(id); // else it would come back
  await localDatabase().drafts.delete(id);
}

/** Replicate a copy of the draft when its screen is left, so that a lost phone loses little. */
export async function backUpDraft(draft: Draft): Promise<void> {
  if (draft.amends || !draft.visit.startedAt || !database.value) return;
  await putVisit(toPlain(draft.visit)).catch((error: unknown) => {
    if (database.value) throw error; // else the store was closed meanwhile: the draft itself is saved
  });
}

/** Write a visit with the revision of the server's state it is based on, which the digests of both sides cover. */
async function putVisit({ server: _, ...fields }: Visit): Promise<void> {
  const visits = database.value!.collections.visits;
  const rev = ((await visits.findOne(fields.id).exec())?.toJSON() as Visit | undefined)?.server?.rev;
  await localDatabase()
    .rescued.where({ id: `visits/${fields.id}` })
    .modify({ document: fields });
  await visits.incrementalUpsert({ ...fields, ...(rev ? { server: { state: 'changed', rev } } : {}) });
}

export async function discardDraft(draft: Draft): Promise<void> {
  const stored = await database.value!.collections.visits.findOne(draft.id).exec();
  if (stored && !draft.amends) await stored.incrementalRemove();
  if (!draft.amends) await localDatabase().photos.where({ visitId: draft.id }).delete();
  await deleteDraft(draft.id);
}

/** A camera that failed leaves a file without a byte, which no server could take. */
export class EmptyPhoto extends Error {}

export async function addPhoto(
  draft: { id: string },
  questionId: string,
  file: Blob,
  fix: Fix | null,
  source?: PhotoSource,
): Promise<Photo> {
  if (file.size === 0) throw new EmptyPhoto();
  const photo: Photo = {
    id: newId(),
    visitId: draft.id,
    questionId,
    blob: file,
    thumb: await createThumbnail(file, 240),
    sha256: await sha256Hex(file),
    sizeBytes: file.size,
    mediaType: file.type || 'image/jpeg',
    capturedAt: new Date().toISOString(),
    fix,
    state: 'kept',
    sentBytes: 0,
    uploadUrl: null,
    failure: null,
    ...(source ? { source } : {}),
  };
  const stored = await sealPhoto(localDatabase(), toPlain(photo));
  await localDatabase().photos.put(stored);
  return stored;
}

/** Submit the visit as final; it is pushed as soon as there is a network. */
export async function submitVisit(draft: Draft): Promise<void> {
  const pages = new Set(draft.amends?.pages);
  const announced = await announcePhotos(draft.visit, { visitId: draft.id });
  const photos = [...draft.visit.photos.filter(({ id }) => pages.has(id)), ...announced];
  await putVisit({ ...toPlain(draft.visit), state: 'submitted', photos });
  await deleteDraft(draft.id);
  syncNow();
}

/** Announce the photos that the answers show and nobody has announced yet; return all that they show. */
export async function announcePhotos(
  { id: ownerId, answers, photos }: Pick<Visit, 'id' | 'answers' | 'photos'>,
  owner: { visitId: string } | { subjectKind: string; subjectId: string },
): Promise<Visit['photos']> {
  const { evidence } = database.value!.collections;
  const listedIds = new Set(listEvidenceIds(answers));
  const taken = await localDatabase().photos.where({ visitId: ownerId }).toArray();
  const kept = photos.filter((photo) => listedIds.has(photo.id));
  const added = taken.filter((photo) => listedIds.has(photo.id) && !kept.some(({ id }) => id === photo.id));
  const announcedIds = new Set((await evidence.find().exec()).map((document) => document.id));
  const unannounced = added.filter((photo) => !announcedIds.has(photo.id));
  await evidence.bulkInsert(unannounced.map((photo) => createEvidence(photo, owner)));
  return [...kept, ...added.map(({ id, sha256 }) => ({ id, sha256 }))];
}

function createEvidence(
  photo: Photo,
  owner: { visitId: string } | { subjectKind: string; subjectId: string },
): Evidence {
  return {
    id: photo.id,
    ...owner,
    questionId: photo.questionId,
    sha256: photo.sha256,
    sizeBytes: photo.sizeBytes,
    mediaType: photo.mediaType,
    capturedAt: photo.capturedAt,
    fix: photo.fix,
    note: '',
    ...(photo.source ? { source: photo.source } : {}),
  };
}

/** The IDs of all photos and signatures in the answers. */
export function listEvidenceIds(answers: Visit['answers']): string[] {
  const ids: string[] = [];
  for (const answer of Object.values(answers)) {
    for (const item of Array.isArray(answer) ? answer : []) {
      const id = getEvidenceId(item);
      if (id) ids.push(id);
    }
  }
  return ids;
}

/** The evidence ID of an item of an answer; null when it is neither a photo nor a signature. */
function getEvidenceId(item: unknown): string | null {
  const id = typeof item === 'string' ? item : (item as { evidenceId?: string } | null)?.evidenceId;
  return id ? parseUuid(id) : null;
}

/** Reopen a returned visit for the questioned answers; times, fixes and people stay as recorded. */
export async function startAmendment(visit: Visit, names: Record<string, string>): Promise<Draft> {
  const { server, ...fields } = structuredClone(visit);
  const listedIds = new Set(listEvidenceIds(visit.answers));
  const draft: Draft = {
    id: visit.id,
    visit: { ...fields, amendment: { reason: '', amendedAt: new Date().toISOString() } },
    names,
    updatedAt: new Date().toISOString(),
    step: 0,
    amends: {
      questioned: server?.decision?.questioned ?? [],
      reason: server?.decision?.reason ?? '',
      isFromPaper: server?.fromPaper === true,
      pages: visit.photos.map(({ id }) => id).filter((id) => !listedIds.has(id)),
    },
  };
  await localDatabase().drafts.put(draft);
  return draft;
}

/** Turn a visit that the server refused into a draft again, so that it can be corrected. */
export async function reopenRefused(visit: Visit, names: Record<string, string>): Promise<Draft> {
  const { server: _, ...fields } = visit;
  const draft: Draft = {
    id: visit.id,
    visit: { ...structuredClone(fields), state: 'draft', photos: [] },
    names,
    updatedAt: new Date().toISOString(),
    step: 0,
    amends: null,
  };
  await localDatabase().drafts.put(draft);
  return draft;
}

/** Attest that the signed-in person took part in this visit, with their own fix. */
export async function attest(visitId: string, fix: Fix | null, noFixReason = ''): Promise<void> {
  const store = database.value!.collections.attestations;
  const exists = (await store.find().exec()).some(
    (attestation) => (attestation.toJSON() as Attestation).visitId === visitId,
  );
  if (exists) return;
  const attestedAt = new Date().toISOString();
  await store.insert({ id: newId(), visitId, attestedAt, fix, ...(noFixReason ? { noFixReason } : {}) });
  syncNow();
}

/** The facts about members that a checklist's conditions may use, as of this day. */
export function getMemberFacts(household: Household, today: string) {
  return household.members.map((member) => ({
    memberId: member.id,
    age: calculateAge(member.bornOn, today),
    sex: member.sex,
    relation: member.relation,
  }));
}

export function calculateAge(bornOn: string, today: string): number {
  const years = Number(today.slice(0, 4)) - Number(bornOn.slice(0, 4));
  const beforeBirthday = today.slice(5) < bornOn.slice(5);
  return years - (beforeBirthday ? 1 : 0);
}

/** Strip reactive proxies, which IndexedDB and RxDB cannot store; blobs are passed through. */
export function toPlain<T>(value: T): T {
  const raw = toRaw(value);
  if (Array.isArray(raw)) return raw.map(toPlain) as T;
  if (raw === null || typeof raw !== 'object' || raw instanceof Blob) return raw;
  return Object.fromEntries(Object.entries(raw).map(([key, inner]) => [key, toPlain(inner)])) as T;
}
