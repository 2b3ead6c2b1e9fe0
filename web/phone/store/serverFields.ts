// Which fields the server takes of the documents that phones write, as it says in `GET /field/v1/sync`. A field that it
// does not list would be kept without effect: a newer app does not offer what needs one.
import { ref } from 'vue';
import { openApiFor, unwrap } from '@shared/api/client.ts';
import { localDatabase } from './localDatabase.ts';

const KEY = 'zoufang.phone.serverFields';
const INTERVAL_MS = 10 * 60_000;

const fields = ref(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, string[]>);
let pulledAt = 0;

export function takesField(collection: string, field: string): boolean {
  return fields.value[collection]?.includes(field) ?? false;
}

/** Whether the server has this collection, as far as it said. */
export function hasCollection(collection: string): boolean {
  return collection in fields.value;
}

export async function syncServerFields(): Promise<void> {
  if (Date.now() - pulledAt < INTERVAL_MS) return;
  const collections = await unwrap(openApiFor(localDatabase().ownerId).GET('/field/v1/sync'));
  fields.value = Object.fromEntries(collections.map(({ name, fields: taken }) => [name, taken]));
  localStorage.setItem(KEY, JSON.stringify(fields.value));
  pulledAt = Date.now();
}
