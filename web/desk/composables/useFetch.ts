// How a screen asks the server: one thing (`useLoad`), a list (`useList`), or a list page after page (`usePages`). What is
// asked for may change: then it is asked anew, of what somebody types a moment later.
import { computed, onMounted, ref, shallowRef, watch, type Ref, type ShallowRef, type WatchSource } from 'vue';
import { Problem } from '@shared/api/problems.ts';
import { defineMessages } from '@shared/i18n.ts';

const t = defineMessages({
  noNetwork: ['连不上服务器，请检查网络后再试。', 'The server can’t be reached. Check the network and try again.'],
});

/** What went wrong, as a sentence for a person. */
export function describeError(failure: unknown): string {
  return failure instanceof Problem ? failure.sentence : t('noNetwork');
}

interface FetchState<T> {
  value: ShallowRef<T | null>;
  busy: Ref<boolean>;
  error: Ref<string>;
  reload: () => Promise<void>;
}

/** What the screen's filters say; `typed` where some of it is typed. */
type FilterSource = WatchSource | object;
const TYPING_MS = 250;

export function useFetch<T>(load: () => Promise<T>, filters?: FilterSource, typed = false): FetchState<T> {
  const value = shallowRef<T | null>(null);
  const busy = ref(false);
  const error = ref('');
  let latest = 0;
  const reload = async (): Promise<void> => {
    const current = ++latest; // an answer that was overtaken is dropped
    busy.value = true;
    try {
      const loaded = await load();
      if (current !== latest) return;
      value.value = loaded;
      error.value = '';
    } catch (failure) {
      if (current === latest) error.value = describeError(failure);
    } finally {
      if (current === latest) busy.value = false;
    }
  };
  onMounted(reload);
  let timer = 0;
  if (filters) {
    watch(filters, () => {
      clearTimeout(timer);
      if (typed) timer = window.setTimeout(() => void reload(), TYPING_MS);
      else void reload();
    });
  }
  return { value, busy, error, reload };
}

/** Rows as a table shows them. */
export interface ListState<T> {
  rows: Readonly<Ref<readonly T[]>>;
  busy: Readonly<Ref<boolean>>;
  error: Readonly<Ref<string>>;
  hasMore?: Readonly<Ref<boolean>>;
  loadMore?: () => Promise<void>;
}

export function useList<T>(
  load: () => Promise<T[]>,
  filters?: FilterSource,
): ListState<T> & Pick<FetchState<T[]>, 'reload'> {
  const { value, ...rest } = useFetch(load, filters);
  return { rows: computed(() => value.value ?? []), ...rest };
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface PagedListState<T> extends Required<ListState<T>> {
  reload: () => Promise<void>;
}

export function usePagedList<T>(
  load: (cursor: string | undefined) => Promise<Page<T>>,
  filters?: FilterSource,
  typed = false,
): PagedListState<T> {
  const { value, busy, error, reload } = useFetch(() => load(undefined), filters, typed);
  const laterPages = shallowRef<Page<T>[]>([]);
  watch(value, () => (laterPages.value = []), { flush: 'sync' });
  const pages = computed(() => (value.value ? [value.value, ...laterPages.value] : []));
  const cursor = computed(() => pages.value[pages.value.length - 1]?.nextCursor ?? null);
  const loadMore = async (): Promise<void> => {
    if (cursor.value === null || busy.value) return;
    const first = value.value;
    busy.value = true;
    try {
      const page = await load(cursor.value);
      if (value.value === first) laterPages.value = [...laterPages.value, page]; // else they belong to what was asked before
    } catch (failure) {
      error.value = describeError(failure);
    } finally {
      busy.value = false;
    }
  };
  return {
    rows: computed(() => pages.value.flatMap((page) => page.items)),
    hasMore: computed(() => cursor.value !== null),
    busy,
    error,
    reload,
    loadMore,
  };
}
