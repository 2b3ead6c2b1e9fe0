// The notices of the signed-in person, for all three apps; WeChat messages carry the same texts.
import { reactive } from 'vue';
import { api, unwrap } from './api/client.ts';

export interface Notice {
  id: string;
  zh: string;
  en: string;
  madeAt: string;
  readAt: string | null;
  /** What it is about. */
  facts?: { visitId?: string; householdIds?: string[]; on?: string };
}

export interface Notices {
  items: Notice[];
  unread: number;
  /** Load the notices; without a response the old ones stay. */
  load: () => Promise<void>;
  readAll: () => Promise<void>;
}

export function openNotices(app: 'field' | 'desk' | 'resident'): Notices {
  const notices: Notices = reactive({
    items: [],
    unread: 0,
    async load() {
      const loaded = await unwrap(api.GET(`/${app}/v1/notices`, { params: { query: { limit: 20 } } })).catch(
        () => null,
      );
      if (loaded) Object.assign(notices, { items: loaded.items, unread: loaded.unread });
    },
    async readAll() {
      await unwrap(api.POST(`/${app}/v1/notices/read`, { body: {} })).catch(() => null);
      await notices.load();
    },
  });
  return notices;
}
