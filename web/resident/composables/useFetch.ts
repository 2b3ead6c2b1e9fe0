// What went wrong, as a sentence for a person; and one act at a time, with its word beside the button.
import { Problem } from '@shared/api/problems.ts';
import { defineMessages } from '@shared/i18n.ts';
import { onMounted, ref, shallowRef, type Ref, type ShallowRef } from 'vue';

const t = defineMessages({
  noNetwork: ['现在连不上服务器，请稍后再试。', 'The server can’t be reached. Try again later.'],
});

export function describeError(failure: unknown): string {
  return failure instanceof Problem ? failure.sentence : t('noNetwork');
}

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

export interface ActionState {
  busy: Ref<boolean>;
  error: Ref<string>;
  run: (action: () => Promise<unknown>) => Promise<boolean>;
}

export function useAction(): ActionState {
  const busy = ref(false);
  const error = ref('');
  return {
    busy,
    error,
    async run(action) {
      if (busy.value) return false;
      busy.value = true;
      error.value = '';
      try {
        await action();
        return true;
      } catch (failure) {
        error.value = describeError(failure);
        return false;
      } finally {
        busy.value = false;
      }
    },
  };
}
