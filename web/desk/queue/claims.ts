// The visits this desk holds, with the version each was claimed at: a decision says which one it was made on.
import { reactive } from 'vue';
import { ask, api } from '@shared/api/client.ts';
import { Problem } from '@shared/api/problems.ts';
import type { components } from '@shared/api/wire.d.ts';

export type Claim = components['schemas']['Claim'];
export const claims = reactive(new Map<string, Claim>());

export function keep(claim: Claim): Claim {
  claims.set(claim.visitId, claim);
  return claim;
}

export async function claim(visitId: string): Promise<Claim> {
  return keep(await ask(api.POST('/desk/v1/queue/{visit_id}/claim', { params: { path: { visit_id: visitId } } })));
}

export async function heartbeat(visitId: string): Promise<void> {
  try {
    keep(await ask(api.POST('/desk/v1/queue/{visit_id}/heartbeat', { params: { path: { visit_id: visitId } } })));
  } catch (error) {
    if (error instanceof Problem) claims.delete(visitId); // without an answer it is ours for as long as it was
    throw error;
  }
}

export async function release(visitId: string): Promise<void> {
  await ask(api.POST('/desk/v1/queue/{visit_id}/release', { params: { path: { visit_id: visitId } } }));
  claims.delete(visitId);
}

export async function handOver(visitId: string, toStaffId: string): Promise<void> {
  await ask(
    api.POST('/desk/v1/queue/{visit_id}/hand-over', { params: { path: { visit_id: visitId } }, body: { toStaffId } }),
  );
  claims.delete(visitId);
}
