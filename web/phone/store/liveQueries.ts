// What the store holds, as refs that follow it.
import { onScopeDispose, shallowRef, watch, type Ref } from 'vue';
import { database, type Collections, type Name } from './database.ts';
import { liveQuery } from 'dexie';
import type { RxCollection } from 'rxdb/plugins/core';

type DocumentOf<N extends Name> = Collections[N] extends RxCollection<infer D> ? D : never;

/** Every document of a collection; null until they were read for the first time. */
export function useAll<N extends Name>(name: N): Ref<DocumentOf<N>[] | null> {
  const found = shallowRef<DocumentOf<N>[] | null>(null);
  watch(
    database,
    (opened, _before, onCleanup) => {
      if (!opened) return;
      const collection = opened.collections[name] as unknown as RxCollection<DocumentOf<N>>;
      const subscription = collection
        .find()
        .$.subscribe((documents) => (found.value = documents.map((one) => one.toJSON() as DocumentOf<N>)));
      onCleanup(() => subscription.unsubscribe());
    },
    { immediate: true },
  );
  return found;
}

/** What a question to the phone's own tables gives, asked again whenever they change. */
export function useLocal<T>(ask: () => Promise<T>, before: T): Ref<T> {
  const found = shallowRef(before) as Ref<T>;
  const subscription = liveQuery(ask).subscribe({ next: (value) => (found.value = value), error: console.error });
  onScopeDispose(() => subscription.unsubscribe());
  return found;
}
