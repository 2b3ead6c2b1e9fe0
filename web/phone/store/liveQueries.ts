// Queries over the phone's databases as refs that update themselves.
import { onScopeDispose, shallowRef, watch, type Ref } from 'vue';
import { database, type Collections, type CollectionName } from './database.ts';
import { liveQuery } from 'dexie';
import type { RxCollection } from 'rxdb/plugins/core';

type DocumentOf<N extends CollectionName> = Collections[N] extends RxCollection<infer D> ? D : never;

/** All documents of a collection; null until they have been read for the first time. */
export function useCollection<N extends CollectionName>(name: N): Ref<DocumentOf<N>[] | null> {
  const result = shallowRef<DocumentOf<N>[] | null>(null);
  watch(
    database,
    (opened, _before, onCleanup) => {
      if (!opened) return;
      const collection = opened.collections[name] as unknown as RxCollection<DocumentOf<N>>;
      const subscription = collection
        .find()
        .$.subscribe((documents) => (result.value = documents.map((document) => document.toJSON() as DocumentOf<N>)));
      onCleanup(() => subscription.unsubscribe());
    },
    { immediate: true },
  );
  return result;
}

/** The result of a query over the local tables, run again whenever they change. */
export function useLiveQuery<T>(query: () => Promise<T>, initial: T): Ref<T> {
  const result = shallowRef(initial) as Ref<T>;
  const subscription = liveQuery(query).subscribe({ next: (value) => (result.value = value), error: console.error });
  onScopeDispose(() => subscription.unsubscribe());
  return result;
}
