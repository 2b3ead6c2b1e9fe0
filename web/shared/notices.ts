// What this person is told of, whichever app they are in: the same words that WeChat carries where it may.
import { reactive } from 'vue';
import { api, unwrap } from './api/client.ts';

export interface Notice {
  id: string;
  zh: string;
  en: string;
  madeAt: string;
  readAt: string | null;
}

export interface Notices {
  items: Notice[];
  unread: number;
  /** Asks anew; what was there before stays where no answer comes. */
  load: () => Promise<void>;
  readAll: () => Promise<void>;
}

export function openNotices(place: 'field' | 'desk' | 'resident'): Notices {
  const notices: Notices = reactive({
    items: [],
    unread: 0,
    async load() {
      const told = await unwrap(api.GET(`/${place}/v1/notices`, { params: { query: { limit: 20 } } })).catch(
        () => null,
      );
      if (told) Object.assign(notices, { items: told.items, unread: told.unread });
    },
    async readAll() {
      await unwrap(api.POST(`/${place}/v1/notices/read`, { body: {} })).catch(() => null);
      await notices.load();
    },
  });
  return notices;
}
