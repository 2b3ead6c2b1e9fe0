// Convert a household to an editable draft and back to the body of a request. Encrypted numbers are not part of the
// draft: a number left empty stays unchanged.
import type { components } from '@shared/api/wire.d.ts';
import { parseYuan } from '@shared/format.ts';
import { newId } from '@shared/ids.ts';

type Schemas = components['schemas'];
type Page = Schemas['HouseholdDetail'];
export type Body = Schemas['HouseholdBody'];
type Choice<Key extends keyof Schemas['MemberBody']> = NonNullable<Schemas['MemberBody'][Key]> | '';

export interface MemberDraft {
  id: string;
  name: string;
  relation: string;
  idNumber: string;
  mask: string;
  sex: Choice<'sex'>;
  bornOn: string;
  health: Choice<'health'>;
  labourAbility: Choice<'labourAbility'>;
  school: Choice<'school'>;
  work: Choice<'work'>;
  disabilityKind: Choice<'disabilityKind'>;
  disabilityGrade: '' | '1' | '2' | '3' | '4';
  illness: string;
}
export interface IncomeDraft {
  id: string;
  kind: Schemas['IncomeBody']['kind'];
  category: string;
  period: NonNullable<Schemas['IncomeBody']['period']>;
  memberId: string;
  declared: string;
  verified: string;
  startedOn: string | null;
  endedOn: string | null;
}
export interface PropertyDraft {
  id: string;
  kind: Schemas['PropertyBody']['kind'];
  note: string;
  memberId: string;
  declared: string;
  verified: string;
}
export interface Draft {
  address: string;
  group: string;
  phone: string;
  phoneMask: string;
  class: 'A' | 'B' | 'C' | '';
  place: { latitude: string; longitude: string; datum: Schemas['Place']['datum'] };
  members: MemberDraft[];
  incomes: IncomeDraft[];
  properties: PropertyDraft[];
  relatives: Schemas['RelativeBody'][];
  bank: { holderName: string; bankName: string; card: string; mask: string };
}

export function newMember(relation = ''): MemberDraft {
  return {
    id: newId(),
    name: '',
    relation,
    idNumber: '',
    mask: '',
    sex: '',
    bornOn: '',
    health: '',
    labourAbility: '',
    school: '',
    work: '',
    disabilityKind: '',
    disabilityGrade: '',
    illness: '',
  };
}
export function newIncome(): IncomeDraft {
  return {
    id: newId(),
    kind: 'wage',
    category: '',
    period: 'month',
    memberId: '',
    declared: '',
    verified: '',
    startedOn: null,
    endedOn: null,
  };
}
export function newProperty(): PropertyDraft {
  return { id: newId(), kind: 'home', note: '', memberId: '', declared: '', verified: '' };
}

export function emptyDraft(): Draft {
  return {
    address: '',
    group: '',
    phone: '',
    phoneMask: '',
    class: '',
    place: { latitude: '', longitude: '', datum: 'wgs84' },
    members: [newMember('head')],
    incomes: [],
    properties: [],
    relatives: [],
    bank: { holderName: '', bankName: '', card: '', mask: '' },
  };
}

export function toDraft(home: Page): Draft {
  return {
    address: home.address,
    group: home.group ?? '',
    phone: '',
    phoneMask: home.phoneMask ?? '',
    class: (home.class ?? '') as Draft['class'],
    place: {
      latitude: formatNumber(home.latitude),
      longitude: formatNumber(home.longitude),
      datum: home.datum as Schemas['Place']['datum'],
    },
    members: home.members.map((member) => ({
      id: member.id,
      name: member.name,
      relation: member.relation,
      idNumber: '',
      mask: member.idNumberMask ?? '',
      sex: member.sex as MemberDraft['sex'],
      bornOn: member.bornOn,
      health: (member.health ?? '') as MemberDraft['health'],
      labourAbility: (member.labourAbility ?? '') as MemberDraft['labourAbility'],
      school: (member.school ?? '') as MemberDraft['school'],
      work: (member.work ?? '') as MemberDraft['work'],
      disabilityKind: (member.disabilityKind ?? '') as MemberDraft['disabilityKind'],
      disabilityGrade: formatNumber(member.disabilityGrade) as MemberDraft['disabilityGrade'],
      illness: member.illness ?? '',
    })),
    incomes: home.incomes.map((income) => ({
      id: income.id,
      kind: income.kind as IncomeDraft['kind'],
      category: income.category,
      period: income.period as IncomeDraft['period'],
      memberId: income.memberId ?? '',
      declared: formatFen(income.declaredFen),
      verified: formatFen(income.verifiedFen),
      startedOn: income.startedOn,
      endedOn: income.endedOn,
    })),
    properties: home.properties.map((property) => {
      const kind = property.kind as PropertyDraft['kind'];
      const format = kind === 'deposit' ? formatFen : formatNumber;
      return {
        id: property.id,
        kind,
        note: property.note,
        memberId: property.memberId ?? '',
        declared: format(property.declared),
        verified: format(property.verified),
      };
    }),
    relatives: home.relatives.map(({ name, office, relation }) => ({ name, office, relation })),
    bank: { holderName: home.bankHolder ?? '', bankName: home.bankName ?? '', card: '', mask: home.cardMask ?? '' },
  };
}

export function toBody(draft: Draft): Body {
  const { latitude, longitude, datum } = draft.place;
  return {
    address: draft.address.trim(),
    group: draft.group.trim(),
    phone: draft.phone.trim() || null,
    class: draft.class || null,
    place: latitude && longitude ? { latitude: Number(latitude), longitude: Number(longitude), datum } : null,
    members: draft.members.map((member) => {
      // A typed ID number determines sex and date of birth; the values before it may be the error.
      const follows = Boolean(member.idNumber.trim());
      return {
        id: member.id,
        name: member.name.trim(),
        relation: member.relation,
        idNumber: member.idNumber.trim() || null,
        sex: follows ? null : member.sex || null,
        bornOn: follows ? null : member.bornOn || null,
        health: member.health || null,
        labourAbility: member.labourAbility || null,
        school: member.school || null,
        work: member.work || null,
        disabilityKind: member.disabilityKind || null,
        disabilityGrade: member.disabilityGrade ? Number(member.disabilityGrade) : null,
        illness: member.illness.trim() || null,
      };
    }),
    incomes: draft.incomes.map((income) => ({
      id: income.id,
      kind: income.kind,
      category: income.category.trim(),
      period: income.period,
      memberId: income.memberId || null,
      declaredFen: parseYuan(income.declared) ?? 0,
      verifiedFen: parseYuan(income.verified),
      startedOn: income.startedOn,
      endedOn: income.endedOn,
    })),
    properties: draft.properties.map((property) => {
      const read = property.kind === 'deposit' ? parseYuan : readCount;
      return {
        id: property.id,
        kind: property.kind,
        note: property.note.trim(),
        memberId: property.memberId || null,
        declared: read(property.declared) ?? 0,
        verified: read(property.verified),
      };
    }),
    relatives: draft.relatives,
    bank:
      draft.bank.holderName.trim() && draft.bank.bankName.trim()
        ? {
            holderName: draft.bank.holderName.trim(),
            bankName: draft.bank.bankName.trim(),
            card: draft.bank.card.trim() || null,
          }
        : null,
  };
}

/** Return whether the draft can be sent: valid amounts, every member with name, relation and identity. */
export function isComplete(draft: Draft): boolean {
  const amounts = [...draft.incomes, ...draft.properties.filter((property) => property.kind === 'deposit')];
  return (
    draft.address.trim() !== '' &&
    draft.members.length > 0 &&
    draft.members.every(
      (member) => member.name.trim() && member.relation && (member.idNumber.trim() || (member.sex && member.bornOn)),
    ) &&
    amounts.every(
      (entry) => parseYuan(entry.declared) !== null && (entry.verified === '' || parseYuan(entry.verified) !== null),
    ) &&
    draft.properties.every((property) => property.kind === 'deposit' || readCount(property.declared) !== null)
  );
}

function formatFen(fen: number | null): string {
  return fen === null ? '' : (fen / 100).toFixed(2);
}
function formatNumber(value: number | null): string {
  return value === null ? '' : String(value);
}
function readCount(value: string): number | null {
  return /^\s*\d{1,6}\s*$/.test(value) ? Number(value) : null;
}
