// Which kinds of visit may begin without an order: asked of the server from time to time, and kept for when the phone is
// offline. An older server does not know them; then every visit needs an order.
import { openApiFor, unwrap } from '@shared/api/client.ts';
import { Problem } from '@shared/api/problems.ts';
import { localDatabase, type UnorderedKinds } from './localDatabase.ts';

const INTERVAL_MS = 10 * 60_000;
const NOT_FOUND = 404;

let pulledAt = 0;
let pulledFor = '';

export async function syncUnorderedKinds(): Promise<void> {
  const local = localDatabase(); // also when another person's store is opened meanwhile
  if (pulledFor === local.ownerId && Date.now() - pulledAt < INTERVAL_MS) return;
  const villages = (await pull(local.ownerId)) as UnorderedKinds[];
  await local.transaction('rw', local.unorderedKinds, async () => {
    await local.unorderedKinds.clear();
    await local.unorderedKinds.bulkPut(villages);
  });
  [pulledFor, pulledAt] = [local.ownerId, Date.now()];
}

async function pull(personId: string): Promise<unknown[]> {
  try {
    return await unwrap(openApiFor(personId).GET('/field/v1/unordered-kinds'));
  } catch (error) {
    if (error instanceof Problem && error.status === NOT_FOUND) return [];
    throw error;
  }
}
