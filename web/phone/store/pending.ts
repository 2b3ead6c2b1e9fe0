// Which documents have not reached the server yet. Sync, outbox and screens all ask this, so it depends on none of them.
import { database } from './database.ts';
import { localDatabase, type Application } from './localDatabase.ts';
import type { Attestation, Evidence, Proposal, Visit, WorkRecord } from './documents.ts';

/** A submitted visit that the server has not acknowledged with a receipt. */
export function isVisitPending(visit: Visit): boolean {
  return visit.state === 'submitted' && !visit.server?.problem && !visit.server?.receipt;
}

export function isVisitRefused(visit: Visit): boolean {
  return visit.server?.problem !== undefined && visit.server.problem !== null;
}

export function isProposalPending(proposal: Proposal): boolean {
  return !proposal.server?.receivedAt && !proposal.server?.problem;
}

/** A submitted record that the server has not acknowledged with a receipt, or that was sent again. */
export function isRecordPending({ state, server }: WorkRecord): boolean {
  return state === 'submitted' && !server?.problem && !server?.receipt;
}

export function isRecordRefused({ server }: WorkRecord): boolean {
  return server?.problem !== undefined && server.problem !== null;
}

/** The server has no application of this: only this phone knows who applies. */
export function isApplicationUnsent({ state }: Pick<Application, 'state'>): boolean {
  return state === 'draft' || state === 'waiting' || state === 'refused';
}

/** The number of documents that have not been pushed, which each pull reports to the server. */
export async function countPendingRows(): Promise<number> {
  const store = database.value;
  if (!store) return 0;
  const [applications, visits, evidence, attestations, proposals, records] = await Promise.all([
    localDatabase().applications.filter(isApplicationUnsent).count(),
    store.collections.visits.find().exec(),
    store.collections.evidence.find().exec(),
    store.collections.attestations.find().exec(),
    store.collections.proposals.find().exec(),
    store.collections.records.find().exec(),
  ]);
  return (
    applications +
    visits.filter((document) => isVisitPending(document.toJSON() as Visit)).length +
    evidence.filter((document) => !(document.toJSON() as Evidence).server).length +
    attestations.filter((document) => !(document.toJSON() as Attestation).server).length +
    proposals.filter((document) => isProposalPending(document.toJSON() as Proposal)).length +
    records.filter((document) => isRecordPending(document.toJSON() as WorkRecord)).length
  );
}
