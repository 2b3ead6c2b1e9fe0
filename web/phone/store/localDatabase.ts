// The phone's own database, not replicated: drafts of visits (saved at every keystroke), photos until the server has
// them, day plans. A visit is copied into the replicated database when it is submitted, and as a draft when its screen
// is left, so that a lost phone loses little. Its names and fields are stored on phones: they do not change.
import Dexie, { type EntityTable } from 'dexie';
import type { Fix, Questioned, Visit } from './documents.ts';

export interface Draft {
  id: string;
  visit: Visit;
  updatedAt: string;
  /** The last step that was open. */
  step: number;
  /** Names by investigator ID, for the screen. */
  names: Record<string, string>;
  /** Set when a returned visit is amended: what the reviewer questioned, and why. */
  amends: { questioned: Questioned[]; reason: string } | null;
  /** Restored from the server's copy, whose photos are not on this phone. */
  recovered?: boolean;
}

export type PhotoState = 'kept' | 'sending' | 'paused' | 'sent' | 'failed';

export interface Photo {
  /** The same as the ID of its evidence document. */
  id: string;
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
}

/** The assignments of a day in the caseworker's order. */
export interface DayPlan {
  /** YYYY-MM-DD */
  day: string;
  assignmentIds: string[];
  /** When it was last changed on this phone; null once it has been pushed. */
  changedAt: string | null;
}

/** A document that stands between two stores: taken out of one and not yet written to the other (store/mixed.ts). */
export interface Rescued {
  id: string;
  collection: 'visits' | 'evidence' | 'attestations' | 'proposals';
  document: { id: string };
}

export type LocalDatabase = Dexie & {
  /** Whose records these are. Only this person's token may carry them. */
  ownerId: string;
  drafts: EntityTable<Draft, 'id'>;
  photos: EntityTable<Photo, 'id'>;
  plans: EntityTable<DayPlan, 'day'>;
  rescued: EntityTable<Rescued, 'id'>;
  /** Which repairs were done. */
  repairs: EntityTable<{ name: string }, 'name'>;
};

let opened: LocalDatabase | null = null;

export function openLocalDatabase(personId: string): LocalDatabase {
  opened = attachLocalDatabase(personId);
  return opened;
}

/** The local database of any person who used this phone. */
export function attachLocalDatabase(personId: string): LocalDatabase {
  const local = new Dexie(`zoufang-local-${personId}`) as LocalDatabase;
  local.version(1).stores({ drafts: 'id', photos: 'id, visitId, state' });
  local.version(2).stores({ plans: 'day' });
  local.version(3).stores({ rescued: 'id', repairs: 'name' });
  local.ownerId = personId;
  return local;
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
