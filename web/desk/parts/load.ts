// How a screen asks the server: one thing (`useLoad`), a list (`useList`), or a list page after page (`usePages`). What is
// asked for may change: then it is asked anew, of what somebody types a moment later.
import { computed, onMounted, ref, shallowRef, watch, type Ref, type ShallowRef, type WatchSource } from 'vue';
import { Problem } from '@shared/api/problems.ts';
import { say } from '@shared/i18n.ts';

const t = say({
  noNetwork: ['连不上服务器，请检查网络后再试。', 'The server can’t be reached. Check the network and try again.'],
});

/** What went wrong, as a sentence for a person. */
export function sentence(error: unknown): string {
  return error instanceof Problem ? error.sentence : t('noNetwork');
}

interface Load<T> {
  value: ShallowRef<T | null>;
  busy: Ref<boolean>;
  wrong: Ref<string>;
  again: () => Promise<void>;
}

/** What the screen's filters say; `typed` where some of it is typed. */
type Asked = WatchSource | object;
const TYPING_MS = 250;

export function useLoad<T>(load: () => Promise<T>, asked?: Asked, typed = false): Load<T> {
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
  let soon = 0;
  if (asked) {
    watch(asked, () => {
      clearTimeout(soon);
      if (typed) soon = window.setTimeout(() => void again(), TYPING_MS);
      else void again();
    });
  }
  return { value, busy, wrong, again };
}

/** Rows as a table shows them. */
export interface Listed<T> {
  rows: Readonly<Ref<readonly T[]>>;
  busy: Readonly<Ref<boolean>>;
  wrong: Readonly<Ref<string>>;
  hasMore?: Readonly<Ref<boolean>>;
  more?: () => Promise<void>;
}

export function useList<T>(load: () => Promise<T[]>, asked?: Asked): Listed<T> & Pick<Load<T[]>, 'again'> {
  const { value, ...rest } = useLoad(load, asked);
  return { rows: computed(() => value.value ?? []), ...rest };
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface Pages<T> extends Required<Listed<T>> {
  again: () => Promise<void>;
}

export function usePages<T>(
  load: (cursor: string | undefined) => Promise<Page<T>>,
  asked?: Asked,
  typed = false,
): Pages<T> {
  const { value, busy, wrong, again } = useLoad(() => load(undefined), asked, typed);
  const further = shallowRef<Page<T>[]>([]);
  watch(value, () => (further.value = []), { flush: 'sync' });
  const pages = computed(() => (value.value ? [value.value, ...further.value] : []));
  const cursor = computed(() => pages.value[pages.value.length - 1]?.nextCursor ?? null);
  const more = async (): Promise<void> => {
    if (cursor.value === null || busy.value) return;
    const first = value.value;
    busy.value = true;
    try {
      const page = await load(cursor.value);
      if (value.value === first) further.value = [...further.value, page]; // else they belong to what was asked before
    } catch (error) {
      wrong.value = sentence(error);
    } finally {
      busy.value = false;
    }
  };
  return {
    rows: computed(() => pages.value.flatMap((one) => one.items)),
    hasMore: computed(() => cursor.value !== null),
    busy,
    wrong,
    again,
    more,
  };
}
