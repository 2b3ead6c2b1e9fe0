// Load one resource when the component is mounted, and again when its filters change.
import { onMounted, ref, shallowRef, watch, type Ref, type ShallowRef, type WatchSource } from 'vue';
import { describeError } from '../lib/errors.ts';

export interface FetchState<T> {
  value: ShallowRef<T | null>;
  busy: Ref<boolean>;
  error: Ref<string>;
  reload: () => Promise<void>;
}

export type FilterSource = WatchSource | object;
const TYPING_MS = 250;

/** `typed`: some of the filters are text inputs, so reloading waits until typing pauses. */
export function useFetch<T>(load: () => Promise<T>, filters?: FilterSource, typed = false): FetchState<T> {
  const value = shallowRef<T | null>(null);
  const busy = ref(false);
  const error = ref('');
  let latest = 0;
  const reload = async (): Promise<void> => {
    const current = ++latest; // a response that a later request has overtaken is dropped
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
