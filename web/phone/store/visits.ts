// A visit from its first fix to its submission. It is a draft of this phone's own until then (store/local.ts); what
// is submitted goes into the replicated store with the announcements of its photos.
import { toRaw } from 'vue';
import { newId, newVisitId, sha256Hex } from '@shared/ids.ts';
import type { Assignment, Attestation, Evidence, Fix, Household, Visit } from './documents.ts';
import { database } from './database.ts';
import { local, type Draft, type Photo } from './local.ts';
import { syncNow } from './sync.ts';
import { shrink } from '../device/pictures.ts';

export async function beginVisit(assignment: Assignment, author: { personId: string; name: string }): Promise<Draft> {
  const known = await local()
    .drafts.filter((one) => one.visit.assignmentId === assignment.id && !one.amends)
    .first();
  if (known) return known;
  const partner = assignment.partnerId ? [assignment.partnerId] : [];
  const names = {
    [author.personId]: author.name,
    ...(partner[0] ? { [partner[0]]: assignment.partnerName ?? '' } : {}),
  };
  const copies = (await database.value!.collections.visits.find().exec()).map((one) => one.toJSON() as Visit);
  const copy = copies.find((one) => one.assignmentId === assignment.id && isOwnDraft(one, author.personId));
  if (copy) return recover(copy, names);
  const visit: Visit = {
    id: newVisitId(),
    householdId: assignment.householdId,
    assignmentId: assignment.id,
    kind: assignment.kind,
    checklistCode: assignment.checklistCode,
    checklistVersion: assignment.checklistVersion,
    state: 'draft',
    mode: 'in_person',
    modeReason: '',
    startedAt: null,
    endedAt: null,
    startFix: null,
    endFix: null,
    investigatorIds: [author.personId, ...partner.filter((id) => id !== author.personId)],
    familyPresent: [],
    answers: {},
    photos: [],
  };
  const draft: Draft = { id: visit.id, visit, names, updatedAt: new Date().toISOString(), step: 0, amends: null };
  await local().drafts.put(draft);
  return draft;
}

/** Begun by this person, here or on a phone that was lost, and not submitted. */
export function isOwnDraft(visit: Visit, personId: string): boolean {
  return visit.state === 'draft' && visit.investigatorIds[0] === personId;
}

/** The server's copy of a visit that this phone has no more: its words, without the photos, which are nowhere else. */
async function recover(copy: Visit, names: Record<string, string>): Promise<Draft> {
  const { server: _, ...said } = structuredClone(copy);
  const here = new Set((await local().photos.where({ visitId: copy.id }).toArray()).map((one) => one.id));
  const gone = new Set(evidenceIn(said.answers).filter((id) => !here.has(id)));
  for (const [question, answer] of Object.entries(said.answers)) {
    if (!Array.isArray(answer)) continue;
    said.answers[question] = answer.filter((one) => !gone.has(evidenceOf(one) ?? ''));
    if (answer.length && !(said.answers[question] as unknown[]).length) delete said.answers[question];
  }
  const draft: Draft = {
    id: copy.id,
    visit: said,
    names,
    updatedAt: new Date().toISOString(),
    step: 0,
    amends: null,
    recovered: gone.size > 0,
  };
  await local().drafts.put(draft);
  return draft;
}

/** At every keystroke. */
export async function saveDraft(draft: Draft): Promise<void> {
  await local().drafts.put(plain({ ...draft, updatedAt: new Date().toISOString() }));
}

/** When the visit's screen is left: the server gets a copy, so that a lost phone costs little. */
export async function backUpDraft(draft: Draft): Promise<void> {
  if (draft.amends || !draft.visit.startedAt) return;
  await putVisit(plain(draft.visit));
}

/** With the mark of the server's state it was taken from, by which both sides count what this phone holds. */
async function putVisit({ server: _, ...said }: Visit): Promise<void> {
  const visits = database.value!.collections.visits;
  const rev = ((await visits.findOne(said.id).exec())?.toJSON() as Visit | undefined)?.server?.rev;
  await visits.incrementalUpsert({ ...said, ...(rev ? { server: { state: 'changed', rev } } : {}) });
}

export async function discardDraft(draft: Draft): Promise<void> {
  const stored = await database.value!.collections.visits.findOne(draft.id).exec();
  if (stored && !draft.amends) await stored.incrementalRemove();
  if (!draft.amends) await local().photos.where({ visitId: draft.id }).delete();
  await local().drafts.delete(draft.id);
}

export async function addPhoto(draft: Draft, questionId: string, file: Blob, fix: Fix | null): Promise<Photo> {
  const photo: Photo = {
    id: newId(),
    visitId: draft.id,
    questionId,
    blob: file,
    thumb: await shrink(file, 240),
    sha256: await sha256Hex(file),
    sizeBytes: file.size,
    mediaType: file.type || 'image/jpeg',
    capturedAt: new Date().toISOString(),
    fix,
    state: 'kept',
    sentBytes: 0,
    uploadUrl: null,
    failure: null,
  };
  await local().photos.put(plain(photo));
  return photo;
}

/** The visit as it stands is final; everything goes to the server as soon as there is a network. */
export async function submitVisit(draft: Draft): Promise<void> {
  const store = database.value!.collections;
  const listed = new Set(evidenceIn(draft.visit.answers));
  const taken = await local().photos.where({ visitId: draft.id }).toArray();
  const kept = draft.visit.photos.filter((one) => listed.has(one.id));
  const added = taken.filter((one) => listed.has(one.id) && !kept.some(({ id }) => id === one.id));
  const known = new Set((await store.evidence.find().exec()).map((one) => one.id));
  await store.evidence.bulkInsert(added.filter((one) => !known.has(one.id)).map(announcement));
  const photos = [...kept, ...added.map(({ id, sha256 }) => ({ id, sha256 }))];
  await putVisit({ ...plain(draft.visit), state: 'submitted', photos });
  await local().drafts.delete(draft.id);
  syncNow();
}

function announcement(photo: Photo): Evidence {
  return {
    id: photo.id,
    visitId: photo.visitId,
    questionId: photo.questionId,
    sha256: photo.sha256,
    sizeBytes: photo.sizeBytes,
    mediaType: photo.mediaType,
    capturedAt: photo.capturedAt,
    fix: photo.fix,
    note: '',
  };
}

/** Every photo and signature that the answers point at. */
export function evidenceIn(answers: Visit['answers']): string[] {
  const found: string[] = [];
  for (const answer of Object.values(answers)) {
    for (const item of Array.isArray(answer) ? answer : []) {
      const id = evidenceOf(item);
      if (id) found.push(id);
    }
  }
  return found;
}

/** The photo or signature that an item of an answer is. */
function evidenceOf(item: unknown): string | null {
  const id = typeof item === 'string' ? item : (item as { evidenceId?: string } | null)?.evidenceId;
  return id && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id : null;
}

/** A returned visit is open again, for what was questioned; what was recorded at the door stays as it was. */
export async function beginAmendment(visit: Visit, names: Record<string, string>): Promise<Draft> {
  const { server, ...said } = structuredClone(visit);
  const draft: Draft = {
    id: visit.id,
    visit: { ...said, amendment: { reason: '', amendedAt: new Date().toISOString() } },
    names,
    updatedAt: new Date().toISOString(),
    step: 0,
    amends: { questioned: server?.decision?.questioned ?? [], reason: server?.decision?.reason ?? '' },
  };
  await local().drafts.put(draft);
  return draft;
}

/** What the server kept out comes back to be mended: the visit is a draft of this phone again. */
export async function reopenRefused(visit: Visit, names: Record<string, string>): Promise<Draft> {
  const { server: _, ...said } = visit;
  const draft: Draft = {
    id: visit.id,
    visit: { ...structuredClone(said), state: 'draft', photos: [] },
    names,
    updatedAt: new Date().toISOString(),
    step: 0,
    amends: null,
  };
  await local().drafts.put(draft);
  return draft;
}

/** This person's own word, with their own fix, that they were at this visit. */
export async function attest(visitId: string, fix: Fix | null): Promise<void> {
  const store = database.value!.collections.attestations;
  const given = (await store.find().exec()).some((one) => (one.toJSON() as Attestation).visitId === visitId);
  if (given) return;
  await store.insert({ id: newId(), visitId, attestedAt: new Date().toISOString(), fix });
  syncNow();
}

/** What a condition may know of the members on this day. */
export function memberFacts(household: Household, today: string) {
  return household.members.map((one) => ({
    memberId: one.id,
    age: ageOn(one.bornOn, today),
    sex: one.sex,
    relation: one.relation,
  }));
}

export function ageOn(bornOn: string, today: string): number {
  const [year, rest] = [Number(today.slice(0, 4)) - Number(bornOn.slice(0, 4)), today.slice(5) < bornOn.slice(5)];
  return year - (rest ? 1 : 0);
}

/** IndexedDB and RxDB take no reactive proxies; blobs are kept as they are. */
function plain<T>(value: T): T {
  const raw = toRaw(value);
  if (Array.isArray(raw)) return raw.map(plain) as T;
  if (raw === null || typeof raw !== 'object' || raw instanceof Blob) return raw;
  return Object.fromEntries(Object.entries(raw).map(([key, inner]) => [key, plain(inner)])) as T;
}
