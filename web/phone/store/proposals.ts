// What a caseworker would change about a household: it waits for an officer, and until then may be withdrawn.
import { newId } from '@shared/ids.ts';
import { database } from './database.ts';
import type { Changes, Household, Proposal } from './documents.ts';
import { local } from './local.ts';
import { syncNow } from './sync.ts';

export async function propose(household: Household, changes: Changes, note: string): Promise<void> {
  const draft = await local()
    .drafts.filter((one) => one.visit.householdId === household.id)
    .first();
  await database.value!.collections.proposals.insert({
    id: newId(),
    householdId: household.id,
    visitId: draft?.id ?? null,
    proposedAt: new Date().toISOString(),
    changes,
    note,
  });
  syncNow();
}

export async function withdraw(id: string): Promise<void> {
  const stored = await database.value!.collections.proposals.findOne(id).exec();
  await stored?.incrementalRemove();
  syncNow();
}

/** Not yet at the server. */
export function proposalWaits(one: Proposal): boolean {
  return !one.server?.receivedAt && !one.server?.problem;
}
