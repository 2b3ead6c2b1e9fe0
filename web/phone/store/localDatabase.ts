// The phone's own database, not replicated: drafts of visits (saved at every keystroke), photos until the server has
// them, day plans. A visit is copied into the replicated database when it is submitted, and as a draft when its screen
// is left, so that a lost phone loses little. Its names and fields are stored on phones: they do not change.
import Dexie, { type EntityTable } from 'dexie';
import type { components } from '@shared/api/wire.d.ts';
import { isSealedBlob, sealBlob, unsealBlob } from './sealing.ts';
import { sealRow, sealTables } from './sealedTables.ts';
import type { Fix, LastAnswers, Questioned, Visit, VisitKind, WorkRecord } from './documents.ts';

export interface Amends {
  questioned: Questioned[];
  reason: string;
  /** The office entered the visit from a form: photos, signatures and positions need no answer. */
  isFromPaper?: boolean;
  /** Photos of the visit that no answer lists: the pages of the form. They stay. */
  pages?: string[];
}

export interface Draft {
  id: string;
  visit: Visit;
  updatedAt: string;
  /** The last step that was open. */
  step: number;
  /** Names by investigator ID, for the screen. */
  names: Record<string, string>;
  /** Set when a returned visit is amended: what the reviewer questioned, and why. */
  amends: Amends | null;
  /** Restored from the server's copy, whose photos are not on this phone. */
  recovered?: boolean;
  /** What the last accepted visit found, from the assignment; drafts of an earlier version have none. */
  lastAnswers?: LastAnswers | null;
}

/** A record that was begun and not submitted. */
export interface RecordDraft {
  id: string;
  record: WorkRecord;
  updatedAt: string;
  /** It amends a record that was submitted. */
  amends: boolean;
}

export type PhotoState = 'kept' | 'sending' | 'paused' | 'sent' | 'failed';

export interface Photo {
  /** The same as the ID of its evidence document. */
  id: string;
  /** Of a visit, or of a record: the name is stored on phones. */
  visitId: string;
  questionId: string;
  /** Null once the server has stored the bytes; the thumbnail stays. */
  blob: Blob | null;
  thumb: Blob | null;
  sha256: string;
  sizeBytes: number;
  mediaType: string;
  capturedAt: string;
  fix: Fix | null;
  state: PhotoState;
  sentBytes: number;
  /** The tus URL by which an upload is resumed. */
  uploadUrl: string | null;
  /** Why the last attempt failed, as a sentence in the app's language. */
  failure: string | null;
  /** Attempts that failed one after the other, and when the next one is due. */
  attempts?: number;
  retryAt?: number | null;
  /** Which API gave the picture; photos of an earlier version do not say. */
  source?: PhotoSource;
}

export type PhotoSource = 'browser' | 'wx.chooseImage';

/** The assignments of a day in the caseworker's order. */
export interface DayPlan {
  /** YYYY-MM-DD */
  day: string;
  assignmentIds: string[];
  /** When it was last changed on this phone; null once it has been pushed. */
  changedAt: string | null;
}

/** The kinds of visit that may begin without an order in a village, as the server last said. */
export interface UnorderedKinds {
  areaCode: string;
  kinds: { kind: VisitKind; checklistCode: string; checklistVersion: number }[];
  /** The office's number; an earlier server sends none. */
  hotline?: string;
  /** What an application needs; an earlier server sends none. */
  papers?: NeededPaper[];
}

export type NeededPaper = components['schemas']['NeededPaper'];

export interface ApplicantDraft {
  id: string;
  name: string;
  /** A code of the register, or the relation in words. */
  relation: string;
  idNumber: string;
  /** Of somebody without a number. */
  sex: '' | 'male' | 'female';
  bornOn: string;
}

/** Who applies, as it is written at the door. */
export interface ApplicationForm {
  /** Null: a home that the register does not have. */
  householdId: string | null;
  newHouseholdId: string;
  address: string;
  members: ApplicantDraft[];
  applicantId: string;
  statedProgramme: '' | 'urban' | 'rural';
  /** The applicant agrees to messages, to this number. */
  agreesToMessages: boolean;
  phone: string;
  /** Codes of the papers that were handed over. */
  received: string[];
}

/**
 * An application at the door; its ID is its record's. ID numbers are here alone, sealed, until the server has them: they
 * are no part of what is replicated.
 */
export interface Application {
  id: string;
  state: 'draft' | 'waiting' | 'refused' | 'opened' | 'held' | 'dismissed';
  /** Drawn on this phone, and on the applicant's slip. */
  number: string;
  areaCode: string;
  applicantName: string;
  /** Null once the server has it. */
  form: ApplicationForm | null;
  body: components['schemas']['ApplyAtDoor'] | null;
  /** What is lacking, as the slip says. */
  missing: NeededPaper[];
  appliedAt: string;
  hotline: string;
  /** What stands against it, in both languages, and what the town said. */
  outcome: { zh: string; en: string; reason: string } | null;
}

/** A document that stands between two stores: taken out of one and not yet written to the other (store/mixed.ts). */
export interface Rescued {
  id: string;
  collection: 'visits' | 'evidence' | 'attestations' | 'proposals' | 'records';
  document: { id: string };
}

export type LocalDatabase = Dexie & {
  /** Whose records these are. Only this person's token may carry them. */
  ownerId: string;
  /** Seals its rows; null where it is attached only to be written to, whose owner's next start seals them. */
  key: CryptoKey | null;
  drafts: EntityTable<Draft, 'id'>;
  recordDrafts: EntityTable<RecordDraft, 'id'>;
  applications: EntityTable<Application, 'id'>;
  photos: EntityTable<Photo, 'id'>;
  plans: EntityTable<DayPlan, 'day'>;
  rescued: EntityTable<Rescued, 'id'>;
  unorderedKinds: EntityTable<UnorderedKinds, 'areaCode'>;
  /** Which repairs were done. */
  repairs: EntityTable<{ name: string }, 'name'>;
};

let opened: LocalDatabase | null = null;

// What uploads need while rows are only looked through stays in clear; the plans are lists of IDs.
const CLEAR_FIELDS = {
  drafts: ['id'],
  recordDrafts: ['id'],
  applications: ['id', 'state'],
  rescued: ['id', 'collection'],
  photos: ['id', 'visitId', 'state', 'blob', 'thumb', 'sizeBytes', 'sentBytes', 'uploadUrl', 'attempts', 'retryAt'],
};

export function openLocalDatabase(personId: string, key: CryptoKey): LocalDatabase {
  opened = attachLocalDatabase(personId, key);
  return opened;
}

/** The local database of any person who used this phone. */
export function attachLocalDatabase(personId: string, key: CryptoKey | null = null): LocalDatabase {
  // Without Dexie's cache, which would hand a row that was sealed before it was written to live queries as it is.
  const local = new Dexie(`zoufang-local-${personId}`, { cache: 'disabled' }) as LocalDatabase;
  local.version(1).stores({ drafts: 'id', photos: 'id, visitId, state' });
  local.version(2).stores({ plans: 'day' });
  local.version(3).stores({ rescued: 'id', repairs: 'name' });
  local.version(4).stores({ unorderedKinds: 'areaCode' });
  local.version(5).stores({ recordDrafts: 'id' });
  local.version(6).stores({ applications: 'id, state' });
  local.ownerId = personId;
  local.key = key;
  if (key) sealTables(local, key, CLEAR_FIELDS);
  return local;
}

export async function listUnsentPhotos(local: LocalDatabase): Promise<Photo[]> {
  return (await local.photos.toArray()).filter((photo) => photo.state !== 'sent');
}

/** Seal what is in clear: rows of an earlier version, and what another person's repair wrote here. */
export async function sealLocalDatabase(local: LocalDatabase): Promise<void> {
  const isClear = (row: object): boolean => !('sealed' in row);
  const isPhotoClear = (row: { id: string } & Partial<Photo>): boolean =>
    isClear(row) || [row.blob, row.thumb].some((picture) => picture && !isSealedBlob(picture));
  for (const name of ['drafts', 'recordDrafts', 'applications', 'rescued'] as const) {
    for (const id of await listClear(local, name, isClear)) {
      const table = local.table<{ id: string }, string>(name);
      const row = await table.get(id);
      if (row) await table.put(row);
    }
  }
  for (const id of await listClear(local, 'photos', isPhotoClear)) {
    const photo = await local.photos.get(id);
    if (photo) await local.photos.put(await sealPhoto(local, photo));
  }
}

/** Cursors see rows as they are stored. */
async function listClear(
  local: LocalDatabase,
  name: string,
  isClear: (row: { id: string }) => boolean,
): Promise<string[]> {
  const ids: string[] = [];
  await local
    .table<{ id: string }, string>(name)
    .filter(isClear)
    .each((row) => ids.push(row.id));
  return ids;
}

/** Write a draft. It is sealed first: a transaction that waited for the cipher would be lost with a phone that is killed. */
export async function putDraft(local: LocalDatabase, draft: Draft): Promise<void> {
  const row = local.key ? await sealRow('drafts', local.key, CLEAR_FIELDS.drafts, { ...draft }) : draft;
  await local.drafts.put(row as Draft);
}

export async function putRecordDraft(local: LocalDatabase, draft: RecordDraft): Promise<void> {
  const row = local.key ? await sealRow('recordDrafts', local.key, CLEAR_FIELDS.recordDrafts, { ...draft }) : draft;
  await local.recordDrafts.put(row as RecordDraft);
}

export async function putApplication(local: LocalDatabase, application: Application): Promise<void> {
  const clear = CLEAR_FIELDS.applications;
  const row = local.key ? await sealRow('applications', local.key, clear, { ...application }) : application;
  await local.applications.put(row as Application);
}

/** The photo with its pictures sealed, as it is stored. */
export async function sealPhoto(local: LocalDatabase, photo: Photo): Promise<Photo> {
  const { key } = local;
  if (!key) return photo;
  const [blob, thumb] = await Promise.all([
    photo.blob && sealBlob(key, `blob/${photo.id}`, photo.blob),
    photo.thumb && sealBlob(key, `thumb/${photo.id}`, photo.thumb),
  ]);
  return { ...photo, blob, thumb };
}

/** The picture of a photo in clear; null when it is no longer here. */
export async function openPicture(local: LocalDatabase, photo: Photo, name: 'blob' | 'thumb'): Promise<Blob | null> {
  const picture = photo[name];
  if (!picture || !local.key) return picture;
  return unsealBlob(local.key, `${name}/${photo.id}`, picture, name === 'blob' ? photo.mediaType : 'image/jpeg');
}

export function closeLocalDatabase(): void {
  opened?.close();
  opened = null;
}

export function localDatabase(): LocalDatabase {
  if (!opened) throw new Error('nobody is signed in');
  return opened;
}

export async function deleteLocalDatabase(): Promise<void> {
  await opened?.delete();
  opened = null;
}
