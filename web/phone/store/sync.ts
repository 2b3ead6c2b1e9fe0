// Replicates every collection with the server by RxDB's replication protocol. Pull and push repeat while there is a
// network; an event stream announces changes, and actions that a person waits for call `syncNow`.
//
// When the server's digest differs from the phone's (`sync.digest_mismatch`), a read-only collection is dropped and
// pulled again; a writable one gets a new replication identifier, so that RxDB pushes every document again and then
// pulls. Neither deletes anything from the outbox.
import { reactive } from 'vue';
import { replicateRxCollection, type RxReplicationState } from 'rxdb/plugins/replication';
import { Subject } from 'rxjs';
import { authorizedFetch } from '@shared/api/client.ts';
import { Problem, readJson, readProblem } from '@shared/api/problems.ts';
import { subscribeToEvents } from '@shared/events.ts';
import { sha256, toHex } from '@shared/ids.ts';
import { database, NEWER, READ_ONLY, recreateCollection, type CollectionName } from './database.ts';
import type { Visit } from './documents.ts';
import { notices } from '../notices.ts';
import { syncApplications } from './applicationSync.ts';
import { syncDayPlans } from './dayPlans.ts';
import { forgetReplication, getGeneration } from './generations.ts';
import { localDatabase } from './localDatabase.ts';
import { getAuthor, settleRescued } from './mixedStore.ts';
import { countPendingRows } from './pending.ts';
import { hasCollection, syncServerFields } from './serverFields.ts';
import { syncUnorderedKinds } from './unorderedKinds.ts';

interface Checkpoint {
  id: string;
  lwt: number;
}

type Document = { id: string; _deleted: boolean; server?: { rev?: string } };
type Replication = RxReplicationState<never, Checkpoint>;

const SCHEMA_VERSION = 1;
const PULL_BATCH = 200;
const RETRY_MS = 10_000;
const POLL_MS = 60_000;
const FOLLOW_UP_MS = 1_500;
// Answered by a new beginning, or by a server that went back to an older version.
const EXPECTED: ReadonlySet<string> = new Set(['sync.digest_mismatch', 'sync.collection_unknown']);
const DIGEST_INTERVAL_MS = 10 * 60_000;

export const sync = reactive({
  /** Number of replications that are running at the moment. */
  active: 0,
  /** Time of the last successful request. */
  lastAt: null as number | null,
  /** When the request began that was answered last, by success or refusal. */
  answeredSince: 0,
  /** The server's last refusal; a missing network does not count. */
  problem: null as Problem | null,
  /** The server no longer supports this version of the app. */
  appTooOld: false,
  /** Paused by the person. */
  paused: false,
});

const replications = new Map<CollectionName, Replication>();
const resyncSubjects = new Map<CollectionName, Subject<'RESYNC'>>();
const lastDigestAt = new Map<CollectionName, number>();
/** Begun since the store was opened, also those that are being begun anew. */
const begun = new Set<CollectionName>();
let syncController: AbortController | null = null;
/** Whose store is synced. Every request is sent as this person, or not at all. */
let ownerId = '';

export function startSync(): void {
  if (syncController || sync.paused) return;
  syncController = new AbortController();
  ownerId = localDatabase().ownerId;
  const { signal } = syncController;
  startReplications();
  signal.addEventListener('abort', subscribeToChanges());
  syncDayPlansAndNotices();
  const pollTimer = setInterval(() => document.visibilityState === 'visible' && syncNow(), POLL_MS);
  signal.addEventListener('abort', () => clearInterval(pollTimer));
  for (const [target, event] of [
    [window, 'online'],
    [document, 'visibilitychange'],
  ] as const) {
    target.addEventListener(event, () => document.visibilityState === 'visible' && syncNow(), { signal });
  }
}

export async function stopSync(): Promise<void> {
  syncController?.abort();
  syncController = null;
  await Promise.all([...replications.values()].map((replication) => replication.cancel()));
  replications.clear();
  resyncSubjects.clear();
  lastDigestAt.clear();
  begun.clear();
  Object.assign(sync, { active: 0, lastAt: null, problem: null });
  Object.assign(notices, { items: [], unread: 0 }); // the next person has other notices
}

/** Push and pull everything now. */
export function syncNow(): void {
  for (const subject of resyncSubjects.values()) subject.next('RESYNC');
  syncDayPlansAndNotices();
}

/** Errors are shown by the sync status above every screen. */
function syncDayPlansAndNotices(): void {
  if (!syncController) return;
  void trackResult(syncDayPlans()).catch(() => undefined);
  void syncApplications(trackResult).catch(() => undefined);
  void syncUnorderedKinds().catch(() => undefined); // what it said before stays
  const running = syncController;
  void syncServerFields()
    .then(() => syncController === running && startReplications())
    .catch(() => undefined);
  void notices.load();
}

/** Start what is not running yet of the collections that the server has. */
function startReplications(): void {
  for (const name of Object.keys(database.value!.collections) as CollectionName[]) {
    if (begun.has(name) || (NEWER.has(name) && !hasCollection(name))) continue;
    begun.add(name);
    startReplication(name);
  }
}

function startReplication(name: CollectionName): void {
  const personId = ownerId;
  const resync = new Subject<'RESYNC'>();
  resyncSubjects.set(name, resync);
  const replication = replicateRxCollection<Document, Checkpoint>({
    collection: database.value!.collections[name] as never,
    replicationIdentifier: `zoufang-${name}-${getGeneration(name)}`,
    live: true,
    retryTime: RETRY_MS,
    waitForLeadership: false,
    pull: {
      batchSize: PULL_BATCH,
      stream$: resync.asObservable() as never,
      handler: (checkpoint, limit) => trackResult(pull(personId, name, checkpoint, limit)),
    },
    ...(READ_ONLY.has(name)
      ? {}
      : {
          push: {
            batchSize: 50,
            handler: (rows: unknown[]) => trackResult(push(personId, name, rows)),
            modifier: (document: unknown) => (isOthersVisit(personId, name, document as Visit) ? null : document),
          },
        }),
  }) as unknown as Replication;
  let wasActive = false;
  replication.active$.subscribe((isActive) => {
    if (isActive !== wasActive) sync.active += isActive ? 1 : -1;
    wasActive = isActive;
  });
  replication.error$.subscribe((error) => {
    const inner = (error.parameters as { errors?: { code?: string; message?: string }[] } | undefined)?.errors?.[0];
    if (inner?.code === 'sync.digest_mismatch' || JSON.stringify(inner ?? '').includes('sync.digest_mismatch')) {
      void restartReplication(name);
    }
  });
  replications.set(name, replication);
  const [store, local] = [database.value!, localDatabase()];
  void replication
    .awaitInitialReplication()
    .then(() => settleRescued(store, local, name))
    .catch(() => undefined); // the store was closed meanwhile; settled the next time
}

/** A visit is sent by its author alone; a colleague who took part holds a copy. */
function isOthersVisit(personId: string, name: CollectionName, document: Visit): boolean {
  return name === 'visits' && getAuthor(document) !== personId;
}

async function pull(personId: string, name: CollectionName, checkpoint: Checkpoint | undefined, limit: number) {
  const { id, lwt } = checkpoint ?? { id: '', lwt: 0 };
  const query = new URLSearchParams({ id, lwt: String(lwt), limit: String(limit) });
  const digest = await computeDigestIfDue(name);
  if (digest) query.set('digest', digest);
  const headers = {
    'X-App-Version': __APP_VERSION__,
    'X-Device-Time': new Date().toISOString(),
    'X-Pending-Rows': String(await countPendingRows()),
  };
  const page = (await fetchJson(personId, `${getEndpoint(name)}/pull?${query}`, { headers })) as {
    documents: never[];
    checkpoint: Checkpoint;
  };
  // Whatever else answers with JSON is not the server, and not an empty page.
  if (!Array.isArray(page?.documents) || !page.checkpoint) throw new Problem(200, {});
  return page;
}

async function push(personId: string, name: CollectionName, rows: unknown[]): Promise<never[]> {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(rows) };
  const conflicts = await fetchJson(personId, `${getEndpoint(name)}/push`, init);
  if (!Array.isArray(conflicts)) throw new Problem(200, {}); // not the server: nothing was taken
  // The server's fields arrive with a pull: follow up soon instead of at the next poll.
  setTimeout(() => resyncSubjects.get(name)?.next('RESYNC'), FOLLOW_UP_MS);
  return conflicts as never[];
}

async function fetchJson(personId: string, path: string, init: RequestInit): Promise<unknown> {
  const response = await authorizedFetch(path, init, personId);
  if (response.ok) return readJson(response);
  throw await readProblem(response);
}

/** Record success or refusal in `sync` for the screen. */
async function trackResult<T>(pending: Promise<T>): Promise<T> {
  const since = Date.now();
  try {
    const result = await pending;
    sync.lastAt = Date.now();
    sync.answeredSince = since;
    sync.problem = null;
    return result;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    sync.answeredSince = since;
    if (error.code === 'sync.schema_version_gone') sync.appTooOld = true;
    else if (!EXPECTED.has(error.code)) sync.problem = error;
    throw error;
  }
}

function getEndpoint(name: CollectionName): string {
  return `/field/v1/sync/${name}/${SCHEMA_VERSION}`;
}

// --- digest of a collection

async function computeDigestIfDue(name: CollectionName): Promise<string | null> {
  const lastAt = lastDigestAt.get(name);
  if (lastAt === undefined) {
    // The first pull after opening fetches pending changes; only later pulls compare digests.
    lastDigestAt.set(name, Date.now() - DIGEST_INTERVAL_MS);
    return null;
  }
  if (Date.now() - lastAt < DIGEST_INTERVAL_MS) return null;
  lastDigestAt.set(name, Date.now());
  return computeDigest(name);
}

/** XOR over the SHA-256 of id and revision of every document; the server computes the same (field_api/sync/digest.py). */
async function computeDigest(name: CollectionName): Promise<string> {
  const documents = await database.value!.collections[name].find().exec();
  const sum = new Uint8Array(32);
  for (const document of documents) {
    const { id, server } = document.toJSON() as unknown as Document;
    if (server?.rev === undefined) continue;
    const hash = await sha256(new TextEncoder().encode(`${id}\n${server.rev}`));
    hash.forEach((byte, index) => (sum[index]! ^= byte));
  }
  return toHex(sum);
}

async function restartReplication(name: CollectionName): Promise<void> {
  const running = syncController;
  await replications.get(name)?.cancel();
  replications.delete(name);
  forgetReplication(name);
  if (syncController !== running || !running) return; // the store was closed meanwhile
  if (READ_ONLY.has(name)) await recreateCollection(name);
  if (syncController === running) startReplication(name);
}

// --- event stream

/** Pull what the server says has changed. Returns a function that unsubscribes. */
function subscribeToChanges(): () => void {
  let wasOpen = false;
  return subscribeToEvents(
    '/field/v1/sync/stream',
    'changed',
    (names) => {
      for (const name of names as CollectionName[]) resyncSubjects.get(name)?.next('RESYNC');
      syncDayPlansAndNotices();
    },
    {
      personId: ownerId,
      reconnectMs: RETRY_MS,
      onOpen() {
        if (wasOpen) syncNow(); // nothing was heard of what changed while the line was down
        wasOpen = true;
      },
    },
  );
}
