// How a screen asks the server: one thing (`useLoad`), or page after page of a list (`usePages`).
import { onMounted, ref, shallowRef, type Ref, type ShallowRef } from 'vue';
import { Problem } from '@shared/api/problems.ts';
import { say } from '@shared/i18n.ts';

const t = say({
  noNetwork: ['连不上服务器，请检查网络后再试。', 'The server can’t be reached. Check the network and try again.'],
});

/** What went wrong, as a sentence for a person. */
export function sentence(error: unknown): string {
  return error instanceof Problem ? [error.title, error.detail].filter(Boolean).join(' ') : t('noNetwork');
}

interface Load<T> {
  value: ShallowRef<T | null>;
  busy: Ref<boolean>;
  wrong: Ref<string>;
  again: () => Promise<void>;
}

export function useLoad<T>(load: () => Promise<T>): Load<T> {
  const value = shallowRef<T | null>(null);
  const busy = ref(false);
  const wrong = ref('');
  let turn = 0;
  const again = async (): Promise<void> => {
    const mine = ++turn; // an answer that was overtaken is dropped
    busy.value = true;
    try {
      const loaded = await load();
      if (mine !== turn) return;
      value.value = loaded;
      wrong.value = '';
    } catch (error) {
      if (mine === turn) wrong.value = sentence(error);
    } finally {
      if (mine === turn) busy.value = false;
    }
  };
  onMounted(again);
  return { value, busy, wrong, again };
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface Pages<T> extends Omit<Load<T[]>, 'value'> {
  rows: ShallowRef<T[]>;
  hasMore: Ref<boolean>;
  more: () => Promise<void>;
}

export function usePages<T>(load: (cursor: string | undefined) => Promise<Page<T>>): Pages<T> {
  const rows = shallowRef<T[]>([]);
  const hasMore = ref(false);
  let cursor: string | null = null;
  const first = useLoad(async () => {
    const page = await load(undefined);
    rows.value = page.items;
    cursor = page.nextCursor;
    hasMore.value = cursor !== null;
    return page.items;
  });
  const more = async (): Promise<void> => {
    if (cursor === null || first.busy.value) return;
    first.busy.value = true;
    try {
      const page = await load(cursor);
      rows.value = [...rows.value, ...page.items];
      cursor = page.nextCursor;
      hasMore.value = cursor !== null;
    } catch (error) {
      first.wrong.value = sentence(error);
    } finally {
      first.busy.value = false;
    }
  };
  return { rows, busy: first.busy, wrong: first.wrong, again: first.again, hasMore, more };
}
