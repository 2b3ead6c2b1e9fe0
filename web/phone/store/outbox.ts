// What waits on this phone to reach the server: visits, attestations, proposals, announcements of
// photos, and photos.
import { computed, type ComputedRef } from 'vue';
import type { Attestation, Evidence, Proposal, Visit } from './documents.ts';
import { database } from './database.ts';
import { useAll, useLocal } from './live.ts';
import { local, type Photo } from './local.ts';
import { proposalWaits } from './proposals.ts';

/** Submitted here, and not yet acknowledged with a receipt. */
export function visitWaits(visit: Visit): boolean {
  return visit.state === 'submitted' && !visit.server?.problem && !visit.server?.receipt;
}

export function visitRefused(visit: Visit): boolean {
  return visit.server?.problem !== undefined && visit.server.problem !== null;
}

export interface Outbox {
  visits: Visit[];
  attestations: Attestation[];
  proposals: Proposal[];
  photos: Photo[];
  count: number;
}

export function useOutbox(): ComputedRef<Outbox> {
  const visits = useAll('visits');
  const attestations = useAll('attestations');
  const proposals = useAll('proposals');
  const photos = useLocal(() => local().photos.where('state').notEqual('sent').toArray(), []);
  const announced = useAll('evidence');
  return computed(() => {
    const known = new Set(announced.value?.map((one) => one.id));
    const waiting = {
      visits: visits.value?.filter((one) => visitWaits(one) || visitRefused(one)) ?? [],
      attestations: attestations.value?.filter((one) => !one.server) ?? [],
      proposals: proposals.value?.filter(proposalWaits) ?? [],
      photos: photos.value.filter((one) => known.has(one.id)).sort(sendingFirst),
    };
    return { ...waiting, count: Object.values(waiting).reduce((sum, some) => sum + some.length, 0) };
  });
}

function sendingFirst(a: Photo, b: Photo): number {
  return Number(b.state === 'sending') - Number(a.state === 'sending');
}

/** For the server's own picture of this phone: rows that were not pushed yet. */
export async function countWaiting(): Promise<number> {
  const store = database.value;
  if (!store) return 0;
  const [visits, evidence, attestations, proposals] = await Promise.all([
    store.collections.visits.find().exec(),
    store.collections.evidence.find().exec(),
    store.collections.attestations.find().exec(),
    store.collections.proposals.find().exec(),
  ]);
  return (
    visits.filter((one) => visitWaits(one.toJSON() as Visit)).length +
    evidence.filter((one) => !(one.toJSON() as Evidence).server).length +
    attestations.filter((one) => !(one.toJSON() as Attestation).server).length +
    proposals.filter((one) => proposalWaits(one.toJSON() as Proposal)).length
  );
}
