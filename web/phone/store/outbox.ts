// The outbox: what has been submitted on this phone and has not reached the server.
import { computed, type ComputedRef } from 'vue';
import { session } from '@shared/api/session.ts';
import type { Attestation, Proposal, Visit, WorkRecord } from './documents.ts';
import { useCollection, useLiveQuery } from './liveQueries.ts';
import { listUnsentPhotos, localDatabase, type Application, type Photo } from './localDatabase.ts';
import { getAuthor } from './mixedStore.ts';
import { isProposalPending, isRecordPending, isRecordRefused, isVisitPending, isVisitRefused } from './pending.ts';

export interface Outbox {
  visits: Visit[];
  attestations: Attestation[];
  proposals: Proposal[];
  records: WorkRecord[];
  applications: Application[];
  photos: Photo[];
  /** Visits of somebody else that came here with their quarantine; only their author can send them. */
  left: Visit[];
  count: number;
}

export function useOutbox(): ComputedRef<Outbox> {
  const visits = useCollection('visits');
  const attestations = useCollection('attestations');
  const proposals = useCollection('proposals');
  const records = useCollection('records');
  const photos = useLiveQuery(() => listUnsentPhotos(localDatabase()), []);
  const applications = useLiveQuery(() => localDatabase().applications.toArray(), []);
  const evidence = useCollection('evidence');
  return computed(() => {
    const waiting = visits.value?.filter((visit) => isVisitPending(visit) || isVisitRefused(visit)) ?? [];
    const isOwn = (visit: Visit): boolean => getAuthor(visit) === session.person?.personId;
    const evidenceIds = new Set(evidence.value?.map(({ id }) => id));
    const pending = {
      visits: waiting.filter(isOwn),
      attestations: attestations.value?.filter((attestation) => !attestation.server) ?? [],
      proposals: proposals.value?.filter(isProposalPending) ?? [],
      applications: applications.value.filter(({ state }) => state === 'waiting' || state === 'refused'),
      records: records.value?.filter((record) => isRecordPending(record) || isRecordRefused(record)) ?? [],
      photos: photos.value.filter((photo) => evidenceIds.has(photo.id)).sort(compareSendingFirst),
    };
    const left = waiting.filter((visit) => !isOwn(visit));
    return { ...pending, left, count: Object.values(pending).reduce((sum, rows) => sum + rows.length, 0) };
  });
}

function compareSendingFirst(a: Photo, b: Photo): number {
  return Number(b.state === 'sending') - Number(a.state === 'sending');
}
