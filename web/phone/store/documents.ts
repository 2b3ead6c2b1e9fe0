// The documents replicated between phone and server. The server's own fields of a document are under `server` and are
// ignored on push.
import type { Answers } from '../checklist/evaluate.ts';
import type { Template } from '../checklist/template.ts';

export interface Fix {
  latitude: number;
  longitude: number;
  datum: 'wgs84' | 'gcj02' | 'bd09';
  capturedAt: string;
  accuracyM: number | null;
  altitudeM?: number | null;
  speedMps?: number | null;
  source?: string;
}

export interface Member {
  id: string;
  name: string;
  relation: string;
  sex: string;
  bornOn: string;
  idNumberMask: string | null;
  health: string | null;
  labourAbility: string | null;
  school: string | null;
  work: string | null;
}

export interface Household {
  id: string;
  number: string;
  areaCode: string;
  areaName: string;
  headName: string;
  address: string;
  phoneMask: string | null;
  latitude: number | null;
  longitude: number | null;
  datum: string;
  class: string | null;
  monthlyAmountFen: number | null;
  members: Member[];
}

export type VisitKind = 'intake' | 'review' | 'neighbour' | 'complaint' | 'spot_check' | 'care';

export interface Assignment {
  id: string;
  householdId: string;
  kind: VisitKind;
  dueOn: string;
  checklistCode: string;
  checklistVersion: number;
  partnerId: string | null;
  partnerName: string | null;
}

export interface Checklist {
  id: string;
  code: string;
  version: number;
  kind: string;
  body: Template;
}

export interface ServerProblem {
  code: string;
  title: string;
  detail?: string;
  errors?: { pointer: string; code: string; detail: string }[];
}

export interface Questioned {
  questionId: string;
  reason: string;
  evidenceId: string | null;
}

export interface VisitServerPart {
  state: string;
  rev?: string;
  receivedAt?: string;
  submittedAt?: string | null;
  complete?: boolean;
  attestedBy?: string[];
  receipt?: string | null;
  lateAfterReassignment?: boolean;
  problem?: ServerProblem;
  version?: number;
  decision?: { outcome: string; reason: string; questioned: Questioned[]; decidedAt: string };
}

export interface Visit {
  id: string;
  householdId: string;
  assignmentId: string | null;
  kind: VisitKind;
  checklistCode: string;
  checklistVersion: number;
  state: 'draft' | 'submitted';
  mode: 'in_person' | 'phone' | 'video';
  modeReason: string;
  startedAt: string | null;
  endedAt: string | null;
  startFix: Fix | null;
  endFix: Fix | null;
  investigatorIds: string[];
  familyPresent: { name: string; memberId: string | null }[];
  answers: Answers;
  photos: { id: string; sha256: string }[];
  /** Why a submitted visit is sent again. */
  amendment?: { reason: string; amendedAt: string } | null;
  server?: VisitServerPart;
}

export interface Evidence {
  id: string;
  visitId: string;
  questionId: string;
  sha256: string;
  sizeBytes: number;
  mediaType: string;
  capturedAt: string | null;
  fix: Fix | null;
  note: string;
  server?: {
    state: string;
    rev?: string;
    refusedCode?: string | null;
    uploadedAt?: string | null;
    problem?: ServerProblem;
  };
}

export interface Attestation {
  id: string;
  visitId: string;
  attestedAt: string;
  fix: Fix | null;
  server?: { state: string; rev?: string; problem?: ServerProblem };
}

/** Proposed values for a member; a missing field stays as it is. */
export interface MemberChange {
  memberId: string;
  health?: string;
  labourAbility?: string;
  school?: string;
  work?: string;
}

export interface Changes {
  address?: string;
  place?: { latitude: number; longitude: number; datum: 'wgs84' | 'gcj02' | 'bd09' };
  members: MemberChange[];
}

export interface Proposal {
  id: string;
  householdId: string;
  visitId: string | null;
  proposedAt: string;
  changes: Changes;
  note: string;
  server?: {
    state: 'proposed' | 'accepted' | 'rejected' | 'quarantined';
    rev?: string;
    reason?: string | null;
    receivedAt?: string;
    decidedAt?: string | null;
    problem?: ServerProblem;
  };
}
