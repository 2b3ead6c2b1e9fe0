// The phone's databases, one pair for each person who signs in: RxDB holds the replicated collections, a second small
// database (store/localDatabase.ts) what stays on this phone. Only one window at a time has them open.
import { shallowRef } from 'vue';
import { createRxDatabase, removeRxDatabase, type RxCollection, type RxDatabase } from 'rxdb/plugins/core';
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie';
import { sealStorage, sealStoredRows } from './sealedStorage.ts';
import type {
  Assignment,
  Attestation,
  Checklist,
  Evidence,
  Household,
  Proposal,
  Task,
  Visit,
  WorkRecord,
} from './documents.ts';

export interface Collections {
  assignments: RxCollection<Assignment>;
  households: RxCollection<Household>;
  checklists: RxCollection<Checklist>;
  visits: RxCollection<Visit>;
  evidence: RxCollection<Evidence>;
  attestations: RxCollection<Attestation>;
  proposals: RxCollection<Proposal>;
  tasks: RxCollection<Task>;
  records: RxCollection<WorkRecord>;
}

export type CollectionName = keyof Collections;

const COLLECTION_NAMES: CollectionName[] = [
  'assignments',
  'households',
  'checklists',
  'visits',
  'evidence',
  'attestations',
  'proposals',
  'tasks',
  'records',
];
/** Never pushed, so the local copy can be dropped and pulled again. */
export const READ_ONLY: ReadonlySet<CollectionName> = new Set<CollectionName>([
  'assignments',
  'households',
  'checklists',
  'tasks',
]);
/** An older server does not have them: they are replicated once it has listed them (store/serverFields.ts). */
export const NEWER: ReadonlySet<CollectionName> = new Set<CollectionName>(['tasks', 'records']);

/** The open database; null before sign-in. Set anew when a collection was recreated, so that live queries follow. */
export const database = shallowRef<RxDatabase<Collections> | null>(null);

/** Open the database, whose rows are sealed with this key. */
export async function openDatabase(personId: string, key: CryptoKey): Promise<RxDatabase<Collections>> {
  const opened = await createRxDatabase<Collections>({
    name: getDatabaseName(personId),
    storage: sealStorage(getRxStorageDexie(), key),
    multiInstance: false,
    closeDuplicates: true,
  });
  await opened.addCollections(Object.fromEntries(COLLECTION_NAMES.map((name) => [name, { schema: SCHEMA }])));
  database.value = opened;
  return opened;
}

export async function closeDatabase(): Promise<void> {
  const opened = database.value;
  database.value = null;
  await opened?.close();
}

/** Seal what an earlier version left in clear; before the database is opened. */
export function sealDatabase(personId: string, key: CryptoKey): Promise<void> {
  return sealStoredRows(getDatabaseName(personId), key);
}

/** Delete all replicated documents of this person from the phone. */
export async function removeDatabase(personId: string): Promise<void> {
  await closeDatabase();
  await removeRxDatabase(getDatabaseName(personId), getRxStorageDexie(), false);
}

/** Replace a read-only collection by an empty one. */
export async function recreateCollection(name: CollectionName): Promise<void> {
  const opened = database.value!;
  await opened.collections[name].remove();
  await opened.addCollections({ [name]: { schema: SCHEMA } } as never);
  database.value = null;
  database.value = opened;
}

function getDatabaseName(personId: string): string {
  return `zoufang-${personId}`;
}

// The same schema for every collection: the server validates documents, the phone stores every field it receives.
const SCHEMA = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 200 },
    server: { type: 'object' },
    reason: { type: 'string' },
  },
  required: ['id'],
  additionalProperties: true,
} as never;
