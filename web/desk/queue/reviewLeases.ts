// Review leases of this desk by visit. Each holds the version that was claimed, which a decision sends as If-Match.
import { reactive } from 'vue';
import { unwrap, api } from '@shared/api/client.ts';
import { Problem } from '@shared/api/problems.ts';
import type { paths } from '@shared/api/wire.d.ts';

export type ReviewLease =
  paths['/desk/v1/queue/{visit_id}/claim']['post']['responses'][200]['content']['application/json'];
export const reviewLeases = reactive(new Map<string, ReviewLease>());

export function storeLease(lease: ReviewLease): ReviewLease {
  reviewLeases.set(lease.visitId, lease);
  return lease;
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
    if (error instanceof Problem) reviewLeases.delete(visitId); // without a response the lease lasts until it expires
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
