// Load one resource when the component is mounted.
import { onMounted, ref, shallowRef, type Ref, type ShallowRef } from 'vue';
import { describeError } from '../lib/errors.ts';

export interface FetchState<T> {
  value: ShallowRef<T | null>;
  error: Ref<string>;
  reload: () => Promise<void>;
}

export function useFetch<T>(load: () => Promise<T>): FetchState<T> {
  const value = shallowRef<T | null>(null);
  const error = ref('');
  const reload = async (): Promise<void> => {
    try {
      value.value = await load();
      error.value = '';
    } catch (failure) {
      error.value = describeError(failure);
    }
  };
  onMounted(reload);
  return { value, error, reload };
}
