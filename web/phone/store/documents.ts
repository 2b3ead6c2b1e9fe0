// The documents replicated between phone and server, as openapi.json describes them. The phone writes every field of its
// own documents. The server's own fields of a document are under `server` and are ignored on push.
import type { components } from '@shared/api/wire.d.ts';

type Schemas = components['schemas'];
type Bookkeeping = '_deleted' | 'server';
type Written<Document> = Required<Omit<Document, Bookkeeping | 'amendment'>>;
/** Absent until the first pull; of a row in quarantine it holds the state and the reason alone. */
type ServerPart<Standing extends { state: string }> = Partial<Omit<Standing, 'state'>> & {
  state: Standing['state'] | 'quarantined';
  problem?: Refusal | null;
};

/** Why a pushed row was not applied, in both languages. */
export type Refusal = NonNullable<Schemas['QuarantineStanding']['problem']>;
export type Fix = Schemas['ReportedFix'];
export type Questioned = Schemas['QuestionedAnswer'];
export type VisitKind = Schemas['VisitDocument']['kind'];
/** Proposed values for a member; a missing field stays as it is. */
export type MemberChange = Schemas['ProposedMember'];
export type Changes = Schemas['ProposedChanges'] & { members: MemberChange[] };

export type Household = Omit<Schemas['ServedHousehold'], Bookkeeping>;
export type Member = Household['members'][number];
export type Assignment = Omit<Schemas['ServedAssignment'], Bookkeeping>;
export type Checklist = Omit<Schemas['ServedChecklist'], Bookkeeping>;

export type LastAnswers = Schemas['LastAnswers'];
export type UnchangedRow = Schemas['UnchangedRow'];

export type Visit = Written<Omit<Schemas['VisitDocument'], 'unorderedReason' | 'noFixReason' | 'unchanged'>> & {
  /** Of a visit without an assignment alone. */
  unorderedReason?: string;
  /** Why a fix is missing; only where the server takes it. */
  noFixReason?: string;
  /** Rows that were taken over from last time; only of a visit to which last time's answers came. */
  unchanged?: UnchangedRow[];
  /** Why a submitted visit is sent again. */
  amendment?: Schemas['Amendment'] | null;
  server?: ServerPart<Schemas['VisitStanding']>;
};
/** A photo of a visit, or of what its subject names; an older server knows visits alone. */
export type Evidence = Written<
  Omit<Schemas['EvidenceDocument'], 'visitId' | 'subjectKind' | 'subjectId' | 'source'>
> & {
  visitId?: string;
  /** Which API gave the picture; not of a drawn signature. */
  source?: string;
  subjectKind?: string;
  subjectId?: string;
  server?: ServerPart<Schemas['EvidenceStanding']>;
};
export type RecordKind = Schemas['RecordDocument']['kind'];
export type Participant = Schemas['Participant'];
/** A home of work that is done home by home. */
export type TaskHome = Schemas['TaskHome'];
export type Task = Omit<Schemas['ServedTask'], Bookkeeping>;
/** Work beside the visits; `WorkRecord`, since TypeScript has a `Record` of its own. */
export type WorkRecord = Written<Schemas['RecordDocument']> & {
  /** Why a submitted record is sent again. */
  amendment?: Schemas['Amendment'] | null;
  server?: ServerPart<Schemas['RecordStanding']>;
};
export type Attestation = Written<Omit<Schemas['AttestationDocument'], 'noFixReason'>> & {
  noFixReason?: string;
  server?: ServerPart<Schemas['AttestationStanding']>;
};
export type Proposal = Written<Omit<Schemas['ProposalDocument'], 'changes'>> & {
  changes: Changes;
  server?: ServerPart<Schemas['ProposalStanding']>;
};
