// An application at the door while it is written: saved at every keystroke, checked as the desk does it, and handed to
// the sync when its record is submitted.
import { computed, ref, watch, type Ref } from 'vue';
import { today } from '@shared/format.ts';
import { newId } from '@shared/ids.ts';
import { drawApplicationNumber } from '@shared/applicationNumbers.ts';
import { checkIdNumber, type IdProblem } from '@shared/idNumbers.ts';
import type { components } from '@shared/api/wire.d.ts';
import type { Household, WorkRecord } from './documents.ts';
import { createDraftWriter } from './draftWriter.ts';
import { useLiveQuery } from './liveQueries.ts';
import {
  localDatabase,
  putApplication,
  type ApplicantDraft,
  type Application,
  type ApplicationForm,
  type NeededPaper,
} from './localDatabase.ts';
import { toPlain } from './visits.ts';

const COUNTY_DIGITS = 6;
const writer = createDraftWriter(putApplication);

export type MemberProblem = 'name' | 'relation' | 'sexOrBirth' | 'twice' | `id.${IdProblem}`;

export interface ApplicationStore {
  application: Ref<Application | null>;
  /** Those of the area that this home needs. */
  needed: Ref<NeededPaper[]>;
  save(): Promise<void>;
  /** Ready to be sent; its record is submitted after it. */
  submit(record: WorkRecord): Promise<void>;
}

/** The application of a record; null for records of other kinds, and where it was made on another phone. */
export function useApplication(record: () => WorkRecord | null, households: Ref<Household[] | null>): ApplicationStore {
  const application = ref<Application | null>(null);
  const villages = ref<{ areaCode: string; papers?: NeededPaper[]; hotline?: string }[]>([]);
  const village = computed(
    () => villages.value.find(({ areaCode }) => areaCode === record()?.areaCode) ?? villages.value[0],
  );
  const needed = computed(() => {
    const situations = (record()?.answers['situations'] ?? []) as string[];
    return (village.value?.papers ?? []).filter(({ situation }) => !situation || situations.includes(situation));
  });

  watch(() => [record()?.id, record()?.kind, record()?.state] as const, load, { immediate: true });
  async function load(): Promise<void> {
    const current = record();
    if (current?.kind !== 'application') return;
    villages.value = await localDatabase().unorderedKinds.toArray();
    const stored = await localDatabase().applications.get(current.id);
    application.value = stored ?? (current.state === 'draft' ? startApplication(current) : null);
  }

  /** What the sync wrote meanwhile; a form that is being written is the screen's. */
  const stored = useLiveQuery(() => localDatabase().applications.toArray(), []);
  watch(stored, (rows) => {
    const row = rows.find(({ id }) => id === application.value?.id);
    const isSent = application.value !== null && application.value.state !== 'draft';
    if (row && isSent && row.state !== 'draft' && row.state !== application.value!.state) application.value = row;
  });

  async function save(): Promise<void> {
    if (application.value) await writer.save(toPlain(application.value));
  }

  async function submit(submitted: WorkRecord): Promise<void> {
    const draft = application.value;
    if (!draft?.form || (draft.state !== 'draft' && draft.state !== 'refused')) return;
    const missing = needed.value.filter(({ code }) => !draft.form!.received.includes(code));
    const body = buildBody(draft, draft.form, submitted, households.value ?? []);
    const waiting = {
      ...draft,
      state: 'waiting' as const,
      number: body.number,
      areaCode: submitted.areaCode,
      applicantName: body.applicantName,
      body,
      missing,
      appliedAt: body.appliedAt,
      hotline: village.value?.hotline ?? '',
      outcome: null,
    };
    await writer.save(toPlain(waiting));
    application.value = waiting;
  }

  return { application, needed, save, submit };
}

export function startApplicant(relation: string): ApplicantDraft {
  return { id: newId(), name: '', relation, idNumber: '', sex: '', bornOn: '' };
}

function startApplication({ id, areaCode, startedAt }: WorkRecord): Application {
  const head = startApplicant('head');
  return {
    id,
    state: 'draft',
    number: drawNumber(areaCode),
    areaCode,
    applicantName: '',
    form: {
      householdId: null,
      newHouseholdId: newId(),
      address: '',
      members: [head],
      applicantId: head.id,
      statedProgramme: '',
      agreesToMessages: false,
      phone: '',
      received: [],
    },
    body: null,
    missing: [],
    appliedAt: startedAt ?? new Date().toISOString(),
    hotline: '',
    outcome: null,
  };
}

function drawNumber(areaCode: string): string {
  return drawApplicationNumber(areaCode.slice(0, COUNTY_DIGITS), Number(today().slice(0, 4)));
}

/** The first thing that is wrong with a member; null when all is there. */
export function findMemberProblem(member: ApplicantDraft, members: ApplicantDraft[]): MemberProblem | null {
  if (!member.name.trim()) return 'name';
  if (!member.relation.trim()) return 'relation';
  if (!member.idNumber.trim()) return member.sex && member.bornOn ? null : 'sexOrBirth';
  const { number, problem } = checkIdNumber(member.idNumber, today());
  if (problem) return `id.${problem}`;
  const same = members.filter((other) => checkIdNumber(other.idNumber, today()).number === number);
  return same.length > 1 ? 'twice' : null;
}

export function findApplicantName(form: ApplicationForm, households: Household[]): string {
  const members = households.find(({ id }) => id === form.householdId)?.members ?? form.members;
  return (members.find(({ id }) => id === form.applicantId) ?? members[0]!).name.trim();
}

function buildBody(
  draft: Application,
  form: ApplicationForm,
  record: WorkRecord,
  households: Household[],
): components['schemas']['ApplyAtDoor'] {
  const county = record.areaCode.slice(0, COUNTY_DIGITS);
  return {
    id: draft.id,
    householdId: form.householdId ?? form.newHouseholdId,
    areaCode: record.areaCode,
    applicantName: findApplicantName(form, households),
    // Of another county, since the village was changed.
    number: draft.number.startsWith(`SQ${county}`) ? draft.number : drawNumber(record.areaCode),
    appliedAt: record.startedAt ?? new Date().toISOString(),
    situations: (record.answers['situations'] ?? []) as never[],
    isCheckAgreed: record.answers['consent_check'] === true,
    statedProgramme: form.statedProgramme || null,
    papersReceived: form.received,
    slipGiven: true,
    household: form.householdId ? null : buildHousehold(form, record),
  };
}

function buildHousehold(form: ApplicationForm, { fix }: WorkRecord): components['schemas']['DoorHousehold'] {
  return {
    address: form.address.trim(),
    phone: form.agreesToMessages && form.phone.trim() ? form.phone.trim() : null,
    place: fix ? { latitude: fix.latitude, longitude: fix.longitude, datum: fix.datum } : null,
    members: form.members.map((member) => {
      const isNumbered = Boolean(member.idNumber.trim());
      return {
        id: member.id,
        name: member.name.trim(),
        relation: member.relation.trim(),
        idNumber: isNumbered ? checkIdNumber(member.idNumber, today()).number : null,
        sex: isNumbered ? null : member.sex || null,
        bornOn: isNumbered ? null : member.bornOn || null,
      };
    }),
  };
}

export async function deleteApplication(id: string): Promise<void> {
  await writer.forget(id); // else it would come back
  if ((await localDatabase().applications.get(id))?.state === 'draft') await localDatabase().applications.delete(id);
}
