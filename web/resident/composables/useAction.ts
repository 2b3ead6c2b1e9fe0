// Run one action at a time; the error is shown beside its button.
import { ref, type Ref } from 'vue';
import { describeError } from '../lib/errors.ts';

export interface ActionState {
  busy: Ref<boolean>;
  error: Ref<string>;
  /** Return true on success. A call while another is running is ignored. */
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
