// What is this phone's alone: visits being made (saved at every keystroke), photos until the server has them, small
// remembered things. Not replicated; a visit goes into the replicated store when it is submitted, and as a draft
// when its screen is left, so that a lost phone costs little.
import Dexie, { type EntityTable } from 'dexie';
import type { Fix, Questioned, Visit } from './documents.ts';

export interface Draft {
  id: string;
  visit: Visit;
  updatedAt: string;
  /** Where the person was in it. */
  step: number;
  /** The names behind `visit.investigatorIds`, for the screen. */
  names: Record<string, string>;
  /** Of a returned visit: what the reviewer questioned, and why. */
  amends: { questioned: Questioned[]; reason: string } | null;
  /** Taken from the server's copy: its photos are not on this phone. */
  recovered?: boolean;
}

export type PhotoState = 'kept' | 'sending' | 'paused' | 'sent' | 'failed';

export interface Photo {
  /** Also the id of its evidence document. */
  id: string;
  visitId: string;
  questionId: string;
  /** Gone once the server has stored the bytes; the small picture stays. */
  blob: Blob | null;
  thumb: Blob | null;
  sha256: string;
  sizeBytes: number;
  mediaType: string;
  capturedAt: string;
  fix: Fix | null;
  state: PhotoState;
  sentBytes: number;
  /** Where a begun upload goes on. */
  uploadUrl: string | null;
  /** What the server last said against it, in the person's words. */
  failure: string | null;
}

/** A day in this caseworker's own order. */
export interface DayPlan {
  /** YYYY-MM-DD */
  day: string;
  assignmentIds: string[];
  /** When it was changed on this phone; null once the server has it. */
  changedAt: string | null;
}

export type Local = Dexie & {
  drafts: EntityTable<Draft, 'id'>;
  photos: EntityTable<Photo, 'id'>;
  plans: EntityTable<DayPlan, 'day'>;
};

let opened: Local | null = null;

export function openLocal(personId: string): Local {
  const local = new Dexie(`zoufang-local-${personId}`) as Local;
  local.version(1).stores({ drafts: 'id', photos: 'id, visitId, state' });
  local.version(2).stores({ plans: 'day' });
  opened = local;
  return local;
}

export function local(): Local {
  if (!opened) throw new Error('nobody is signed in');
  return opened;
}

export async function removeLocal(): Promise<void> {
  await opened?.delete();
  opened = null;
}
