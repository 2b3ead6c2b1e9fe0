// Load the rows of a table: all at once (`useList`) or page by page with the API's cursor (`usePagedList`).
import { computed, shallowRef, watch, type Ref } from 'vue';
import { describeError } from '../lib/errors.ts';
import { useFetch, type FetchState, type FilterSource } from './useFetch.ts';

/** What DataTable shows. */
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
    const firstPage = value.value;
    busy.value = true;
    try {
      const page = await load(cursor.value);
      if (value.value === firstPage) laterPages.value = [...laterPages.value, page]; // else the filters changed
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
