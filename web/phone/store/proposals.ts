// Change proposals about a household: an officer decides on them, and until then they can be withdrawn.
import { newId } from '@shared/ids.ts';
import { database } from './database.ts';
import type { Changes, Household } from './documents.ts';
import { localDatabase } from './localDatabase.ts';
import { syncNow } from './sync.ts';

export async function submitProposal(household: Household, changes: Changes, note: string): Promise<void> {
  const drafts = await localDatabase().drafts.toArray();
  const draft = drafts.find(({ visit }) => visit.householdId === household.id);
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

export async function withdrawProposal(id: string): Promise<void> {
  const stored = await database.value!.collections.proposals.findOne(id).exec();
  await stored?.incrementalRemove();
  syncNow();
}
