// What went wrong, as a sentence for a person; and one act at a time, with its word beside the button.
import { Problem } from '@shared/api/problems.ts';
import { say } from '@shared/i18n.ts';
import { onMounted, ref, shallowRef, type Ref, type ShallowRef } from 'vue';

const t = say({ noNetwork: ['现在连不上服务器，请稍后再试。', 'The server can’t be reached. Try again later.'] });

export function sentence(error: unknown): string {
  return error instanceof Problem ? error.sentence : t('noNetwork');
}

export interface Loaded<T> {
  value: ShallowRef<T | null>;
  wrong: Ref<string>;
  again: () => Promise<void>;
}

export function useLoad<T>(load: () => Promise<T>): Loaded<T> {
  const value = shallowRef<T | null>(null);
  const wrong = ref('');
  const again = async (): Promise<void> => {
    try {
      value.value = await load();
      wrong.value = '';
    } catch (error) {
      wrong.value = sentence(error);
    }
  };
  onMounted(again);
  return { value, wrong, again };
}

export interface Act {
  busy: Ref<boolean>;
  wrong: Ref<string>;
  run: (act: () => Promise<unknown>) => Promise<boolean>;
}

export function useAct(): Act {
  const busy = ref(false);
  const wrong = ref('');
  return {
    busy,
    wrong,
    async run(act) {
      if (busy.value) return false;
      busy.value = true;
      wrong.value = '';
      try {
        await act();
        return true;
      } catch (error) {
        wrong.value = sentence(error);
        return false;
      } finally {
        busy.value = false;
      }
    },
  };
}
