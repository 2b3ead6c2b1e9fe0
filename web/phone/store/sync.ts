// Replication of every collection with the server, on RxDB's wire. Pulls and pushes go on by themselves while there
// is a network; a stream tells when there is something new, and what a person may wait for asks at once (`syncNow`).
//
// When the server finds that this phone holds something else than it should (`sync.digest_mismatch`), what only comes
// down is thrown away and fetched anew; where the phone writes too, it forgets what the server is believed to hold:
// everything goes up again, then comes down. The outbox is never touched by either.
import { reactive } from 'vue';
import { replicateRxCollection, type RxReplicationState } from 'rxdb/plugins/replication';
import { Subject } from 'rxjs';
import { authorizedFetch } from '@shared/api/client.ts';
import { Problem, readProblem, Unreachable } from '@shared/api/problems.ts';
import { sha256, toHex } from '@shared/ids.ts';
import { database, READ_ONLY, renewCollection, type Name } from './database.ts';
import { notices } from '../notices.ts';
import { exchangeDayPlans } from './dayplans.ts';
import { countWaiting } from './outbox.ts';

interface Checkpoint {
  id: string;
  lwt: number;
}

type Document = { id: string; _deleted: boolean; server?: { rev?: string } };
type Replication = RxReplicationState<never, Checkpoint>;

const SCHEMA_VERSION = 1;
const BATCH = 200;
const RETRY_MS = 10_000;
const LOOK_MS = 60_000;
const SOON_MS = 1_500;
const DIGEST_EVERY_MS = 10 * 60_000;
// What changes while a caseworker waits for it. One stream each; the rest follows.
const STREAMED: Name[] = ['visits', 'assignments'];

export const sync = reactive({
  /** Replications that are at work just now. */
  active: 0,
  /** When everything was last known to be in step. */
  lastAt: null as number | null,
  /** The last thing that went wrong, but for a missing network. */
  problem: null as Problem | null,
  /** This version of the app is too old for the server. */
  appTooOld: false,
  /** Stopped by the person. */
  paused: false,
});

const running = new Map<Name, Replication>();
const resync = new Map<Name, Subject<'RESYNC'>>();
const digestAt = new Map<Name, number>();
let stopped: AbortController | null = null;

export function startSync(): void {
  if (stopped || sync.paused) return;
  stopped = new AbortController();
  const { signal } = stopped;
  for (const name of Object.keys(database.value!.collections) as Name[]) start(name);
  for (const name of STREAMED) void listen(name, signal);
  exchangeQuietly();
  const looking = setInterval(() => document.visibilityState === 'visible' && syncNow(), LOOK_MS);
  signal.addEventListener('abort', () => clearInterval(looking));
  for (const [target, event] of [
    [window, 'online'],
    [document, 'visibilitychange'],
  ] as const) {
    target.addEventListener(event, () => document.visibilityState === 'visible' && syncNow(), { signal });
  }
}

export async function stopSync(): Promise<void> {
  stopped?.abort();
  stopped = null;
  await Promise.all([...running.values()].map((one) => one.cancel()));
  running.clear();
  sync.active = 0;
  Object.assign(notices, { items: [], unread: 0 }); // who comes next is told of other things
}

/** Push and pull everything now. */
export function syncNow(): void {
  for (const subject of resync.values()) subject.next('RESYNC');
  exchangeQuietly();
}

/** What goes wrong is on the line above every screen. */
function exchangeQuietly(): void {
  if (!stopped) return;
  void noted(exchangeDayPlans()).catch(() => undefined);
  void notices.load();
}

function start(name: Name): void {
  const stream = new Subject<'RESYNC'>();
  resync.set(name, stream);
  const replication = replicateRxCollection<Document, Checkpoint>({
    collection: database.value!.collections[name] as never,
    replicationIdentifier: `zoufang-${name}-${generation(name)}`,
    live: true,
    retryTime: RETRY_MS,
    waitForLeadership: false,
    pull: {
      batchSize: BATCH,
      stream$: stream.asObservable() as never,
      handler: (checkpoint, limit) => noted(pull(name, checkpoint, limit)),
    },
    ...(READ_ONLY.has(name) ? {} : { push: { batchSize: 50, handler: (rows: unknown[]) => noted(push(name, rows)) } }),
  }) as unknown as Replication;
  let was = false;
  replication.active$.subscribe((is) => {
    if (is !== was) sync.active += is ? 1 : -1;
    was = is;
  });
  replication.error$.subscribe((error) => {
    const inner = (error.parameters as { errors?: { code?: string; message?: string }[] } | undefined)?.errors?.[0];
    if (inner?.code === 'sync.digest_mismatch' || JSON.stringify(inner ?? '').includes('sync.digest_mismatch')) {
      void reload(name);
    }
  });
  running.set(name, replication);
}

async function pull(name: Name, checkpoint: Checkpoint | undefined, limit: number) {
  const { id, lwt } = checkpoint ?? { id: '', lwt: 0 };
  const query = new URLSearchParams({ id, lwt: String(lwt), limit: String(limit) });
  const held = await digestWhenDue(name);
  if (held) query.set('digest', held);
  const told = (await request(`${address(name)}/pull?${query}`, {
    headers: {
      'X-App-Version': __APP_VERSION__,
      'X-Device-Time': new Date().toISOString(),
      'X-Pending-Rows': String(await countWaiting()),
    },
  })) as { documents: Document[]; checkpoint: Checkpoint };
  return told as { documents: never[]; checkpoint: Checkpoint };
}

async function push(name: Name, rows: unknown[]): Promise<never[]> {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(rows) };
  const refused = (await request(`${address(name)}/push`, init)) as never[];
  // What the server says of it comes by the next pull: soon, not at the next look.
  setTimeout(() => resync.get(name)?.next('RESYNC'), SOON_MS);
  return refused;
}

async function request(path: string, init: RequestInit): Promise<unknown> {
  const answer = await authorizedFetch(path, init);
  if (answer.ok) return answer.json();
  throw await readProblem(answer);
}

/** Notes how it went for the screen, and does what the server asks for. */
async function noted<T>(work: Promise<T>): Promise<T> {
  try {
    const told = await work;
    sync.lastAt = Date.now();
    sync.problem = null;
    return told;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code === 'sync.schema_version_gone') sync.appTooOld = true;
    else if (error.code !== 'sync.digest_mismatch') sync.problem = error;
    throw error;
  }
}

function address(name: Name): string {
  return `/field/v1/sync/${name}/${SCHEMA_VERSION}`;
}

// --- does this phone hold what it should?

async function digestWhenDue(name: Name): Promise<string | null> {
  const before = digestAt.get(name);
  if (before === undefined) {
    // The first pull after opening brings what is new; the digest is for the next.
    digestAt.set(name, Date.now() - DIGEST_EVERY_MS);
    return null;
  }
  if (Date.now() - before < DIGEST_EVERY_MS) return null;
  digestAt.set(name, Date.now());
  return heldDigest(name);
}

/** The twin of `held_digest` in field_api/sync/digest.py. */
async function heldDigest(name: Name): Promise<string> {
  const documents = await database.value!.collections[name].find().exec();
  const sum = new Uint8Array(32);
  for (const one of documents) {
    const { id, server } = one.toJSON() as unknown as Document;
    if (server?.rev === undefined) continue;
    const hashed = await sha256(new TextEncoder().encode(`${id}\n${server.rev}`));
    hashed.forEach((byte, place) => (sum[place]! ^= byte));
  }
  return toHex(sum);
}

async function reload(name: Name): Promise<void> {
  await running.get(name)?.cancel();
  running.delete(name);
  localStorage.setItem(`zoufang.generation.${name}`, String(generation(name) + 1));
  if (READ_ONLY.has(name)) await renewCollection(name);
  start(name);
}

function generation(name: Name): number {
  return Number(localStorage.getItem(`zoufang.generation.${name}`) ?? 0);
}

// --- the stream

async function listen(name: Name, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const answer = await authorizedFetch(`${address(name)}/pullStream`, { signal });
      if (!answer.ok || !answer.body) throw await readProblem(answer);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (value.includes('event: open')) syncNow();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Unreachable || error instanceof TypeError || error instanceof Problem)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
