// The visits this desk holds, with the version each was claimed at: a decision says which one it was made on.
import { reactive } from 'vue';
import { unwrap, api } from '@shared/api/client.ts';
import { Problem } from '@shared/api/problems.ts';
import type { components } from '@shared/api/wire.d.ts';

export type ReviewLease = components['schemas']['Claim'];
export const reviewLeases = reactive(new Map<string, ReviewLease>());

export function storeLease(claim: ReviewLease): ReviewLease {
  reviewLeases.set(claim.visitId, claim);
  return claim;
}

export async function acquireLease(visitId: string): Promise<ReviewLease> {
  return storeLease(
    await unwrap(api.POST('/desk/v1/queue/{visit_id}/claim', { params: { path: { visit_id: visitId } } })),
  );
}

export async function renewLease(visitId: string): Promise<void> {
  try {
    storeLease(
      await unwrap(api.POST('/desk/v1/queue/{visit_id}/heartbeat', { params: { path: { visit_id: visitId } } })),
    );
  } catch (error) {
    if (error instanceof Problem) reviewLeases.delete(visitId); // without an answer it is ours for as long as it was
    throw error;
  }
}

export async function releaseLease(visitId: string): Promise<void> {
  await unwrap(api.POST('/desk/v1/queue/{visit_id}/release', { params: { path: { visit_id: visitId } } }));
  reviewLeases.delete(visitId);
}

export async function handOverLease(visitId: string, toStaffId: string): Promise<void> {
  await unwrap(
    api.POST('/desk/v1/queue/{visit_id}/hand-over', { params: { path: { visit_id: visitId } }, body: { toStaffId } }),
  );
  reviewLeases.delete(visitId);
}
