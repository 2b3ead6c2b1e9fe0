// RxDB's replication protocol for a mini-program, where RxDB itself cannot run: each collection is a file, `put` writes a
// local document, `sync` pushes local changes and pulls the server's. In a conflict the server's document wins, and the
// server stores the losing one.
import type { Files } from './files.ts';
import type { Http } from './http.ts';

export interface Document {
  id: string;
  _deleted?: boolean;
  server?: Record<string, unknown>;
  [key: string]: unknown;
}

interface LocalDocument {
  document: Document;
  /** The last known state on the server; null when the server has none. */
  master: Document | null;
  /** Number of changes that were not acknowledged, so that one made during a push is not lost. */
  changes: number;
}

/** The content of a collection's file. Stored on phones: field names do not change. */
interface StoredCollection {
  checkpoint: { id: string; lwt: number };
  held: Record<string, LocalDocument>;
}

export interface Collection {
  all(): Document[];
  get(id: string): Document | null;
  put(document: Document): void;
  waiting(): number;
  sync(): Promise<void>;
}

const PULL_BATCH = 200;
const PUSH_BATCH = 50;

export function openCollection(http: Http, files: Files, name: string, schemaVersion = 1): Collection {
  const collection: StoredCollection = files.read<StoredCollection>(name) ?? {
    checkpoint: { id: '', lwt: 0 },
    held: {},
  };
  const address = `/field/v1/sync/${name}/${schemaVersion}`;
  const waiting = (): LocalDocument[] => Object.values(collection.held).filter((entry) => entry.changes > 0);
  let running: Promise<void> | null = null;

  return {
    all: () =>
      Object.values(collection.held)
        .map((entry) => entry.document)
        .filter((document) => !document._deleted),
    get: (id) => collection.held[id]?.document ?? null,
    waiting: () => waiting().length,
    put(document) {
      const held = collection.held[document.id];
      const { server: _, ...fields } = document;
      const mine = held?.master?.server ? { ...fields, server: held.master.server } : fields;
      collection.held[document.id] = {
        document: mine,
        master: held?.master ?? null,
        changes: (held?.changes ?? 0) + 1,
      };
      files.write(name, collection);
    },
    sync: () => (running ??= pushAndPull()),
  };

  /** One run at a time: a second call of `sync` joins the running one. */
  async function pushAndPull(): Promise<void> {
    try {
      do {
        while (waiting().length) await push(waiting().slice(0, PUSH_BATCH));
        while ((await pull()) === PULL_BATCH);
      } while (waiting().length);
    } finally {
      running = null;
    }
  }

  async function push(batch: LocalDocument[]): Promise<void> {
    const sent = batch.map((entry) => ({ id: entry.document.id, changes: entry.changes, document: entry.document }));
    const body = batch.map((entry) => ({
      newDocumentState: { _deleted: false, ...entry.document },
      ...(entry.master ? { assumedMasterState: entry.master } : {}),
    }));
    const conflicts = (await http.request(`${address}/push`, { method: 'POST', body })).body as Document[];
    const masters = new Map(conflicts.map((document) => [document.id, document]));
    for (const { id, changes, document } of sent) {
      const now = collection.held[id]!;
      const master = masters.get(id);
      if (master) collection.held[id] = { document: master, master, changes: 0 };
      else collection.held[id] = { ...now, master: { _deleted: false, ...document }, changes: now.changes - changes };
    }
    files.write(name, collection);
  }

  async function pull(): Promise<number> {
    const { id, lwt } = collection.checkpoint;
    const query = `id=${encodeURIComponent(id)}&lwt=${lwt}&limit=${PULL_BATCH}`;
    const { documents, checkpoint } = (await http.request(`${address}/pull?${query}`)).body as {
      documents: Document[];
      checkpoint: StoredCollection['checkpoint'];
    };
    for (const document of documents) {
      if (collection.held[document.id]?.changes) continue; // the next push resolves the conflict
      if (document._deleted) delete collection.held[document.id];
      else collection.held[document.id] = { document: document, master: document, changes: 0 };
    }
    collection.checkpoint = checkpoint;
    if (documents.length) files.write(name, collection);
    return documents.length;
  }
}
