// The phone's store, one for each person who uses it: RxDB holds what is replicated, a second small database
// (store/local.ts) what is this phone's alone. One window at a time: the others say so and offer to take over.
import { shallowRef } from 'vue';
import { createRxDatabase, removeRxDatabase, type RxCollection, type RxDatabase } from 'rxdb/plugins/core';
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie';
import type { Assignment, Attestation, Checklist, Evidence, Household, Proposal, Visit } from './documents.ts';

export interface Collections {
  assignments: RxCollection<Assignment>;
  households: RxCollection<Household>;
  checklists: RxCollection<Checklist>;
  visits: RxCollection<Visit>;
  evidence: RxCollection<Evidence>;
  attestations: RxCollection<Attestation>;
  proposals: RxCollection<Proposal>;
}

export type Name = keyof Collections;

const NAMES: Name[] = ['assignments', 'households', 'checklists', 'visits', 'evidence', 'attestations', 'proposals'];
/** These only come down: what the phone holds of them can be thrown away and fetched anew. */
export const READ_ONLY: ReadonlySet<Name> = new Set<Name>(['assignments', 'households', 'checklists']);

/** The open store; null before a person is known. Replaced as a whole when a collection was made anew. */
export const database = shallowRef<RxDatabase<Collections> | null>(null);

export async function openDatabase(personId: string): Promise<RxDatabase<Collections>> {
  const opened = await createRxDatabase<Collections>({
    name: nameFor(personId),
    storage: getRxStorageDexie(),
    multiInstance: false,
    closeDuplicates: true,
  });
  await opened.addCollections(Object.fromEntries(NAMES.map((name) => [name, { schema: SCHEMA }])));
  database.value = opened;
  return opened;
}

export async function closeDatabase(): Promise<void> {
  const opened = database.value;
  database.value = null;
  await opened?.close();
}

/** Everything of this person leaves this phone. */
export async function removeDatabase(personId: string): Promise<void> {
  await closeDatabase();
  await removeRxDatabase(nameFor(personId), getRxStorageDexie(), false);
}

/** A read-only collection, empty again. */
export async function renewCollection(name: Name): Promise<void> {
  const opened = database.value!;
  await opened.collections[name].remove();
  await opened.addCollections({ [name]: { schema: SCHEMA } } as never);
  database.value = null;
  database.value = opened;
}

function nameFor(personId: string): string {
  return `zoufang-${personId}`;
}

// Every collection alike: the server holds the shape, and a phone keeps whatever it is sent.
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
