// Repairs a store into which another person's sign-in was synced: in versions before 1.1 a second person could sign in on
// a phone while the first one's store went on syncing, with the second one's token.
//
// What the owner recorded and has not sent goes up again as theirs; under new IDs where the server holds the old ones as
// somebody else's. What the other person recorded here goes to their store. What the server has comes down again.
//
// The phone may be killed between any two lines: everything kept is in the local database first, and stays there until it
// has been written to the rebuilt collections.
import canonicalize from 'canonicalize';
import type { RxDatabase } from 'rxdb/plugins/core';
import { newId, newVisitId } from '@shared/ids.ts';
import { recreateCollection, type Collections } from './database.ts';
import type { Attestation, Evidence, Proposal, Visit, WorkRecord } from './documents.ts';
import {
  attachLocalDatabase,
  openPicture,
  sealPhoto,
  type Draft,
  type LocalDatabase,
  type Photo,
  type Rescued,
} from './localDatabase.ts';
import { forgetReplication } from './generations.ts';
import { isApplicationUnsent } from './pending.ts';

const WRITABLE = ['visits', 'evidence', 'attestations', 'proposals', 'records'] as const;
/** How the server answers a visit that arrives with the token of somebody who did not make it. */
const WRONG_PERSON_CODES = new Set(['visit.author_not_investigator', 'visit.household_unknown', 'visit.not_yours']);

export interface StoredRecords {
  visits: Visit[];
  evidence: Evidence[];
  attestations: Attestation[];
  proposals: Proposal[];
  /** Nobody else's came here: they are newer than the mixing. */
  records: WorkRecord[];
  drafts: Draft[];
  photos: Photo[];
}

/** What belongs to one person, to be written to their store. */
export interface Share {
  rescued: Rescued[];
  drafts: Draft[];
  photos: Photo[];
}

export async function repairMixedStore(store: RxDatabase<Collections>, local: LocalDatabase): Promise<void> {
  if (!(await local.repairs.get('rebuilding')) && !(await local.repairs.get('mixed'))) {
    const records = await readRecords(store, local);
    if (shareOut(local.ownerId, records)) {
      // A picture is sealed under its photo's ID by its owner's key, and both may change.
      const photos = await Promise.all(records.photos.map((photo) => openPhoto(local, photo)));
      await keepShares(local, shareOut(local.ownerId, { ...records, photos })!);
    } else await local.repairs.put({ name: 'mixed' });
  }
  if (await local.repairs.get('rebuilding')) await rebuild(store, local);
  else await adopt(store, local);
}

/** The author: whom the visit itself names first, whoever's token carried it. */
export function getAuthor(visit: Visit): string | null {
  return visit.investigatorIds?.[0] ?? visit.server?.authorId ?? null;
}

/** Each person's share of a store in which the records of several are mixed; null when it is not mixed. */
export function shareOut(ownerId: string, records: StoredRecords): Map<string, Share> | null {
  if (!records.visits.some((visit) => isAstray(ownerId, visit))) return null;
  const authors = new Map(records.visits.map((visit) => [visit.id, getAuthor(visit) ?? ownerId]));
  for (const draft of records.drafts) authors.set(draft.id, getAuthor(draft.visit) ?? ownerId);
  const unsent = records.visits.filter((visit) => !isOnServer(visit));
  const unsentIds = new Set([...unsent.map(({ id }) => id), ...records.drafts.map(({ id }) => id)]);
  const here = new Set(records.photos.filter((photo) => photo.blob && photo.state !== 'sent').map(({ id }) => id));
  const renamed = new Map<string, string>();
  for (const visit of unsent) if (visit.server?.authorId) renamed.set(visit.id, newVisitId());
  for (const { id, visitId } of records.photos) if (here.has(id) && unsentIds.has(visitId)) renamed.set(id, newId());
  const shares = new Map<string, Share>();
  const shareOf = (visitId: string): Share => {
    const person = authors.get(visitId) ?? ownerId;
    if (!shares.has(person)) shares.set(person, { rescued: [], drafts: [], photos: [] });
    return shares.get(person)!;
  };
  const keep = (
    visitId: string,
    collection: Rescued['collection'],
    document: { id: string; server?: unknown },
  ): void => {
    const { server: _, ...fields } = rename(document, renamed);
    shareOf(visitId).rescued.push({ id: `${collection}/${fields.id}`, collection, document: fields });
  };
  shareOf(''); // the owner's own, also when nothing is left of it
  for (const visit of unsent) keep(visit.id, 'visits', visit);
  for (const item of records.evidence) if (here.has(item.id)) keep(item.visitId ?? '', 'evidence', item);
  for (const item of records.records) if (!isRecordOnServer(item)) keep('', 'records', item);
  for (const item of records.attestations) if (isRefused(item) || !item.server) keep('', 'attestations', item);
  for (const item of records.proposals) if (isRefused(item) || !item.server) keep('', 'proposals', item);
  for (const draft of records.drafts) shareOf(draft.id).drafts.push(rename(draft, renamed));
  for (const photo of records.photos) shareOf(photo.visitId).photos.push(renamePhoto(photo, renamed));
  return shares;
}

/** This visit is neither the owner's nor one that the owner took part in, or was refused under another person's token. */
function isAstray(ownerId: string, visit: Visit): boolean {
  if (getAuthor(visit) !== ownerId) return !visit.investigatorIds?.includes(ownerId);
  const isOthers = visit.server?.authorId !== undefined && visit.server.authorId !== ownerId;
  return (
    isOthers || WRONG_PERSON_CODES.has((visit.server?.problem as { zh?: { code?: string } } | null)?.zh?.code ?? '')
  );
}

/** The server has this state of the visit as its author's, so that it comes down again. */
function isOnServer(visit: Visit): boolean {
  const state = visit.server?.state;
  if (!visit.server || state === 'changed' || state === 'quarantined') return false;
  return visit.server.authorId === undefined || visit.server.authorId === visit.investigatorIds?.[0];
}

/** A draft's copy, and what was submitted, in the state that is here. */
function isRecordOnServer({ server }: WorkRecord): boolean {
  return server !== undefined && server.state !== 'changed' && server.state !== 'quarantined';
}

function isRefused(item: { server?: { state?: string } }): boolean {
  return item.server?.state === 'quarantined';
}

function rename<T>(record: T, renamed: Map<string, string>): T {
  let text = JSON.stringify(record);
  for (const [before, after] of renamed) text = text.split(before).join(after);
  return JSON.parse(text) as T;
}

/** Its upload, if it began one, was announced by somebody else: it begins anew. */
function renamePhoto(photo: Photo, renamed: Map<string, string>): Photo {
  const waiting = photo.blob && photo.state !== 'sent';
  return {
    ...photo,
    id: renamed.get(photo.id) ?? photo.id,
    visitId: renamed.get(photo.visitId) ?? photo.visitId,
    ...(waiting ? { state: 'kept', sentBytes: 0, uploadUrl: null, failure: null } : {}),
  };
}

async function readRecords(store: RxDatabase<Collections>, local: LocalDatabase): Promise<StoredRecords> {
  const read = async <T>(name: (typeof WRITABLE)[number]): Promise<T[]> =>
    (await store.collections[name].find().exec()).map((document) => structuredClone(document.toJSON()) as T);
  return {
    visits: await read<Visit>('visits'),
    evidence: await read<Evidence>('evidence'),
    attestations: await read<Attestation>('attestations'),
    proposals: await read<Proposal>('proposals'),
    records: await read<WorkRecord>('records'),
    drafts: await local.drafts.toArray(),
    photos: await local.photos.toArray(),
  };
}

/** Write the others' shares to their databases, then the owner's to this one, which begins the rebuilding. */
async function keepShares(local: LocalDatabase, shares: Map<string, Share>): Promise<void> {
  for (const [personId, share] of shares) {
    if (personId === local.ownerId) continue;
    const other = attachLocalDatabase(personId);
    await putShare(other, share);
    other.close();
  }
  const own = shares.get(local.ownerId)!;
  const photos = await Promise.all(own.photos.map((photo) => sealPhoto(local, photo)));
  await local.transaction('rw', [local.drafts, local.photos, local.rescued, local.repairs], async () => {
    await Promise.all([local.drafts.clear(), local.photos.clear()]);
    await putShare(local, { ...own, photos });
    await local.repairs.put({ name: 'rebuilding' });
  });
}

async function openPhoto(local: LocalDatabase, photo: Photo): Promise<Photo> {
  const [blob, thumb] = await Promise.all([openPicture(local, photo, 'blob'), openPicture(local, photo, 'thumb')]);
  return { ...photo, blob, thumb };
}

async function putShare(local: LocalDatabase, { drafts, photos, rescued }: Share): Promise<void> {
  await local.drafts.bulkPut(drafts);
  await local.photos.bulkPut(photos);
  await local.rescued.bulkPut(rescued);
}

/** Empty the writable collections, so that they are pulled anew, and write what was kept. Repeated after a kill. */
async function rebuild(store: RxDatabase<Collections>, local: LocalDatabase): Promise<void> {
  for (const name of WRITABLE) {
    forgetReplication(name);
    await recreateCollection(name);
  }
  await adopt(store, local);
  await local.transaction('rw', local.repairs, async () => {
    await local.repairs.put({ name: 'mixed' });
    await local.repairs.delete('rebuilding');
  });
}

/** Write what was kept for this person, unless it is here already. It stays in the local database until it is settled. */
async function adopt(store: RxDatabase<Collections>, local: LocalDatabase): Promise<void> {
  for (const { collection, document } of await local.rescued.toArray()) {
    const target = store.collections[collection];
    if (!(await target.findOne(document.id).exec())) await target.insert(document as never);
  }
}

/**
 * After the first synchronisation: where the server held an earlier state, which came down over what was kept, write
 * what was kept again, as a change of that state.
 */
export async function settleRescued(
  store: RxDatabase<Collections>,
  local: LocalDatabase,
  collection: string,
): Promise<void> {
  for (const kept of (await local.rescued.toArray()).filter((row) => row.collection === collection)) {
    const target = store.collections[kept.collection];
    const stored = (await target.findOne(kept.document.id).exec())?.toJSON() as Stored | undefined;
    if (!stored || !hasSameContent(stored, kept.document)) {
      const rev = stored?.server?.rev;
      await target.incrementalUpsert({
        ...kept.document,
        ...(rev ? { server: { state: 'changed', rev } } : {}),
      } as never);
    }
    await local.rescued.delete(kept.id);
  }
}

type Stored = { id: string; server?: { rev?: string } };

function hasSameContent({ server: _, ...stored }: Stored, kept: { id: string }): boolean {
  return canonicalize(stored) === canonicalize(kept);
}

/** Remove what only came down. What the owner has not sent is kept for them, and adopted at their next sign-in. */
export async function withdraw(store: RxDatabase<Collections>, local: LocalDatabase): Promise<void> {
  if (await local.repairs.get('rebuilding')) return; // kept before a kill
  const records = await readRecords(store, local);
  const rescued = collectUnsent(local.ownerId, records);
  const begun = (await local.recordDrafts.toArray()).map(({ id }) => id);
  const open = new Set([
    ...rescued.map(({ document }) => document.id),
    ...records.drafts.map(({ id }) => id),
    ...begun,
  ]);
  const sent = records.photos.filter((photo) => photo.state === 'sent' && !open.has(photo.visitId));
  const tables = [local.photos, local.applications, local.plans, local.rescued, local.repairs];
  await local.transaction('rw', tables, async () => {
    await local.photos.bulkDelete(sent.map(({ id }) => id));
    await local.applications.filter((application) => !isApplicationUnsent(application)).delete();
    await local.plans.filter((plan) => plan.changedAt === null).delete();
    await local.rescued.bulkPut(rescued);
    await local.repairs.put({ name: 'rebuilding' });
  });
}

/** Nothing of a withdrawn store waits for its owner. */
export async function isEmpty(local: LocalDatabase): Promise<boolean> {
  const counts = await Promise.all(
    [local.drafts, local.recordDrafts, local.applications, local.photos, local.plans, local.rescued].map((table) =>
      table.count(),
    ),
  );
  return counts.every((count) => count === 0);
}

/** The owner's documents of which the server does not have this state. */
export function collectUnsent(ownerId: string, records: StoredRecords): Rescued[] {
  const waiting = new Set(records.photos.filter((photo) => photo.blob && photo.state !== 'sent').map(({ id }) => id));
  const strip = (collection: Rescued['collection'], documents: Stored[]): Rescued[] =>
    documents.map(({ server: _, ...document }) => ({ id: `${collection}/${document.id}`, collection, document }));
  return [
    ...strip(
      'visits',
      records.visits.filter((visit) => getAuthor(visit) === ownerId && !isOnServer(visit)),
    ),
    ...strip(
      'evidence',
      records.evidence.filter((item) => !item.server || waiting.has(item.id)),
    ),
    ...strip(
      'attestations',
      records.attestations.filter((item) => !item.server || isRefused(item)),
    ),
    ...strip(
      'proposals',
      records.proposals.filter((item) => !item.server?.receivedAt || isRefused(item)),
    ),
    ...strip(
      'records',
      records.records.filter((item) => !isRecordOnServer(item)),
    ),
  ];
}
