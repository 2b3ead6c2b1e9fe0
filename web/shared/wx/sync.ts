// The server's replication wire (RxDB's) for a mini-program, where RxDB itself can't run: each collection is one file,
// `put` writes a document of the phone's own, `sync` pushes what is new and pulls what changed. What the server says
// wins a conflict; it keeps the loser.
import type { Files } from './files.ts';
import type { Http } from './http.ts';

export interface Document {
  id: string;
  _deleted?: boolean;
  server?: Record<string, unknown>;
  [key: string]: unknown;
}

interface Held {
  document: Document;
  /** As the server is known to hold it; null when it holds nothing. */
  master: Document | null;
  /** Counts the changes not yet acknowledged, so that one made during a push is not lost. */
  changes: number;
}

interface Kept {
  checkpoint: { id: string; lwt: number };
  held: Record<string, Held>;
}

export interface Collection {
  all(): Document[];
  get(id: string): Document | null;
  put(document: Document): void;
  waiting(): number;
  sync(): Promise<void>;
}

const PAGE = 200;
const BATCH = 50;

export function openCollection(http: Http, files: Files, name: string, schemaVersion = 1): Collection {
  const kept: Kept = files.read<Kept>(name) ?? { checkpoint: { id: '', lwt: 0 }, held: {} };
  const address = `/field/v1/sync/${name}/${schemaVersion}`;
  const waiting = (): Held[] => Object.values(kept.held).filter((one) => one.changes > 0);
  let running: Promise<void> | null = null;

  return {
    all: () =>
      Object.values(kept.held)
        .map((one) => one.document)
        .filter((one) => !one._deleted),
    get: (id) => kept.held[id]?.document ?? null,
    waiting: () => waiting().length,
    put(document) {
      const held = kept.held[document.id];
      const { server: _, ...said } = document;
      const mine = held?.master?.server ? { ...said, server: held.master.server } : said;
      kept.held[document.id] = { document: mine, master: held?.master ?? null, changes: (held?.changes ?? 0) + 1 };
      files.write(name, kept);
    },
    sync: () => (running ??= all()),
  };

  /** One at a time: a page that syncs when it is shown again meets the one that waited for that. */
  async function all(): Promise<void> {
    try {
      do {
        while (waiting().length) await push(waiting().slice(0, BATCH));
        while ((await pull()) === PAGE);
      } while (waiting().length);
    } finally {
      running = null;
    }
  }

  async function push(batch: Held[]): Promise<void> {
    const sent = batch.map((one) => ({ id: one.document.id, changes: one.changes, document: one.document }));
    const body = batch.map((one) => ({
      newDocumentState: { _deleted: false, ...one.document },
      ...(one.master ? { assumedMasterState: one.master } : {}),
    }));
    const told = (await http.ask(`${address}/push`, { method: 'POST', body })).body as Document[];
    const masters = new Map(told.map((one) => [one.id, one]));
    for (const { id, changes, document } of sent) {
      const now = kept.held[id]!;
      const master = masters.get(id);
      if (master) kept.held[id] = { document: master, master, changes: 0 };
      else kept.held[id] = { ...now, master: { _deleted: false, ...document }, changes: now.changes - changes };
    }
    files.write(name, kept);
  }

  async function pull(): Promise<number> {
    const { id, lwt } = kept.checkpoint;
    const query = `id=${encodeURIComponent(id)}&lwt=${lwt}&limit=${PAGE}`;
    const { documents, checkpoint } = (await http.ask(`${address}/pull?${query}`)).body as {
      documents: Document[];
      checkpoint: Kept['checkpoint'];
    };
    for (const one of documents) {
      if (kept.held[one.id]?.changes) continue; // the push will meet it
      if (one._deleted) delete kept.held[one.id];
      else kept.held[one.id] = { document: one, master: one, changes: 0 };
    }
    kept.checkpoint = checkpoint;
    if (documents.length) files.write(name, kept);
    return documents.length;
  }
}
