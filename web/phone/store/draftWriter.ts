// Writes drafts at every keystroke. Only the newest state of a draft waits: a keystroke never queues behind those before
// it, whose sealing takes time.
import { localDatabase, type LocalDatabase } from './localDatabase.ts';

export interface DraftWriter<Draft> {
  /** Resolves when this state, or a newer one, is written. */
  save(draft: Draft): Promise<void>;
  /** Resolves when nothing of this draft is still to be written. */
  forget(id: string): Promise<void>;
}

export function createDraftWriter<Draft extends { id: string }>(
  put: (local: LocalDatabase, draft: Draft) => Promise<void>,
): DraftWriter<Draft> {
  const unwritten = new Map<string, { local: LocalDatabase; draft: Draft }>();
  let writing: Promise<void> | null = null;

  /** Also writes what is added meanwhile: a Map goes on to its new entries. */
  async function write(): Promise<void> {
    for (const [id, { local, draft }] of unwritten) {
      unwritten.delete(id);
      await put(local, draft);
    }
  }

  return {
    save(draft) {
      unwritten.set(draft.id, { local: localDatabase(), draft });
      writing ??= write().finally(() => (writing = null));
      return writing;
    },
    async forget(id) {
      unwritten.delete(id);
      await writing?.catch(() => undefined);
    },
  };
}
