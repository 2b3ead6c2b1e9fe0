import { expect, test, vi } from 'vitest';
import type { Attestation, Evidence, Visit } from './documents.ts';
import type { Photo } from './localDatabase.ts';

vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined });
vi.stubGlobal('document', { documentElement: {}, createElement: () => ({}) });
const { collectUnsent, isEmpty, shareOut, withdraw } = await import('./mixedStore.ts');

const [OWNER, OTHER, THIRD] = ['owner', 'other', 'third'];
const REFUSED = { state: 'quarantined', problem: { zh: { code: 'visit.household_unknown' } } };

function makeVisit(id: string, author: string, more: object = {}): Visit {
  return { id, investigatorIds: [author, THIRD], state: 'submitted', answers: {}, photos: [], ...more } as never;
}

function makePhoto(id: string, visitId: string, more: object = {}): Photo {
  return {
    id,
    visitId,
    blob: new Blob(['x']),
    state: 'failed',
    sentBytes: 9,
    uploadUrl: '/uploads/1',
    ...more,
  } as never;
}

function share(records: object) {
  return shareOut(OWNER, {
    visits: [],
    evidence: [],
    attestations: [],
    proposals: [],
    records: [],
    drafts: [],
    photos: [],
    ...records,
  });
}

test('a store with only its owner’s records and copies of colleagues’ visits is left as it is', () => {
  const own = makeVisit('v1', OWNER);
  const together = makeVisit('v2', OTHER, { investigatorIds: [OTHER, OWNER], server: { state: 'accepted' } });
  expect(share({ visits: [own, together] })).toBeNull();
});

test('what the owner has not sent stays, its photos under new IDs where another person announced them', () => {
  const visit = makeVisit('v1', OWNER, {
    server: REFUSED,
    answers: { outside: ['p1'] },
    photos: [{ id: 'p1', sha256: 'a' }],
  });
  const evidence = { id: 'p1', visitId: 'v1', sha256: 'a', server: { state: 'announced' } } as Evidence;
  const theirs = makeVisit('v9', OTHER, { server: { state: 'accepted', authorId: OTHER } });
  const kept = share({ visits: [visit, theirs], evidence: [evidence], photos: [makePhoto('p1', 'v1')] })!.get(OWNER)!;
  const photo = kept.photos[0]!;
  expect(photo.id).not.toBe('p1');
  expect(photo).toMatchObject({ visitId: 'v1', state: 'kept', sentBytes: 0, uploadUrl: null });
  expect(kept.rescued.map(({ id }) => id)).toEqual(['visits/v1', `evidence/${photo.id}`]);
  expect(kept.rescued[0]!.document).toEqual({
    ...visit,
    server: undefined,
    answers: { outside: [photo.id] },
    photos: [{ id: photo.id, sha256: 'a' }],
  });
});

test('what the other person recorded in this store goes to theirs', () => {
  const shares = share({
    visits: [makeVisit('v1', OWNER), makeVisit('v2', OTHER)],
    photos: [makePhoto('p2', 'v2')],
    evidence: [{ id: 'p2', visitId: 'v2' } as Evidence],
  })!;
  expect(shares.get(OTHER)!.rescued.map(({ collection }) => collection)).toEqual(['visits', 'evidence']);
  expect(shares.get(OTHER)!.photos).toHaveLength(1);
  expect(shares.get(OWNER)!.rescued.map(({ document }) => document.id)).toEqual(['v1']);
  expect(shares.get(OWNER)!.photos).toEqual([]);
});

test('a draft that the server holds as another person’s goes on under a new ID', () => {
  const visit = makeVisit('v1', OWNER, { state: 'draft', server: { state: 'draft', authorId: OTHER } });
  const draft = { id: 'v1', visit };
  const kept = share({ visits: [visit], drafts: [draft], photos: [makePhoto('p1', 'v1')] })!.get(OWNER)!;
  expect(kept.drafts[0]!.id).not.toBe('v1');
  expect(kept.drafts[0]!.visit.id).toBe(kept.drafts[0]!.id);
  expect(kept.photos[0]!.visitId).toBe(kept.drafts[0]!.id);
});

test('an attestation refused under another person’s token is sent again', () => {
  const attestation = { id: 'a1', visitId: 'v7', server: { state: 'quarantined' } } as Attestation;
  const kept = share({ visits: [makeVisit('v1', OWNER, { server: REFUSED })], attestations: [attestation] })!.get(
    OWNER,
  )!;
  expect(kept.rescued.map(({ document }) => document)).toContainEqual({ id: 'a1', visitId: 'v7' });
});

test('of an ended device, what its owner has not sent is kept, without what the server said about it', () => {
  const unsent = makeVisit('v1', OWNER);
  const refused = makeVisit('v2', OWNER, { server: REFUSED });
  const accepted = makeVisit('v3', OWNER, { server: { state: 'accepted', authorId: OWNER } });
  const theirs = makeVisit('v4', OTHER, { investigatorIds: [OTHER, OWNER], server: { state: 'accepted' } });
  const announced = { id: 'p1', visitId: 'v3', server: { state: 'announced' } } as Evidence;
  const stored = { id: 'p2', visitId: 'v3', server: { state: 'verified' } } as Evidence;
  const kept = collectUnsent(OWNER, {
    visits: [unsent, refused, accepted, theirs],
    evidence: [announced, stored],
    attestations: [{ id: 'a1' } as Attestation],
    proposals: [{ id: 'c1', server: { receivedAt: 'then' } } as never],
    records: [{ id: 'r1', state: 'submitted' } as never, { id: 'r2', server: { state: 'submitted' } } as never],
    drafts: [],
    photos: [makePhoto('p1', 'v3'), makePhoto('p2', 'v3', { state: 'sent', blob: null })],
  });
  expect(kept.map(({ id }) => id)).toEqual(['visits/v1', 'visits/v2', 'evidence/p1', 'attestations/a1', 'records/r1']);
  expect(kept.every(({ document }) => !('server' in document))).toBe(true);
});

function makeTable(rows: { id: string; state?: string }[]) {
  let stored = rows;
  return {
    rows: () => stored,
    get: async (id: string) => stored.find((row) => row.id === id),
    toArray: async () => stored,
    count: async () => stored.length,
    filter: (keeps: (row: object) => boolean) => ({
      delete: async () => void (stored = stored.filter((row) => !keeps(row))),
    }),
    bulkDelete: async () => undefined,
    bulkPut: async () => undefined,
    put: async () => undefined,
  };
}

function makeLocal(states: string[]) {
  const names = ['drafts', 'recordDrafts', 'photos', 'plans', 'rescued', 'repairs'];
  return {
    ownerId: OWNER,
    ...Object.fromEntries(names.map((name) => [name, makeTable([])])),
    applications: makeTable(states.map((state) => ({ id: state, state }))),
    transaction: (_mode: string, _tables: object[], steps: () => Promise<void>) => steps(),
  };
}

test('signing out keeps an application that the server has not taken, and no other', async () => {
  const nothing = { find: () => ({ exec: async () => [] }) };
  const names = ['visits', 'evidence', 'attestations', 'proposals', 'records'];
  const store = { collections: Object.fromEntries(names.map((name) => [name, nothing])) };
  const local = makeLocal(['draft', 'waiting', 'refused', 'opened', 'held', 'dismissed']);
  await withdraw(store as never, local as never);
  expect(local.applications.rows().map(({ id }) => id)).toEqual(['draft', 'waiting', 'refused']);
  expect(await isEmpty(local as never)).toBe(false);

  const taken = makeLocal(['opened', 'held', 'dismissed']);
  await withdraw(store as never, taken as never);
  expect(await isEmpty(taken as never)).toBe(true);
});
