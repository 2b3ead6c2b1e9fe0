// A household as the desk edits it: what is on the page, as text one can type into, and back as the API takes it. A
// number that is sealed is not there to edit: left empty it stays.
import type { components } from '@shared/api/wire.d.ts';
import { readYuan } from '@shared/format.ts';
import { newId } from '@shared/ids.ts';

type Schemas = components['schemas'];
type Page = Schemas['HouseholdPage'];
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

export function draftOf(home: Page): Draft {
  return {
    address: home.address,
    phone: '',
    phoneMask: home.phoneMask ?? '',
    class: (home.class ?? '') as Draft['class'],
    place: {
      latitude: text(home.latitude),
      longitude: text(home.longitude),
      datum: home.datum as Schemas['Place']['datum'],
    },
    members: home.members.map((one) => ({
      id: one.id,
      name: one.name,
      relation: one.relation,
      idNumber: '',
      mask: one.idNumberMask ?? '',
      sex: one.sex as MemberDraft['sex'],
      bornOn: one.bornOn,
      health: (one.health ?? '') as MemberDraft['health'],
      labourAbility: (one.labourAbility ?? '') as MemberDraft['labourAbility'],
      school: (one.school ?? '') as MemberDraft['school'],
      work: (one.work ?? '') as MemberDraft['work'],
    })),
    incomes: home.incomes.map((one) => ({
      id: one.id,
      kind: one.kind as IncomeDraft['kind'],
      category: one.category,
      period: one.period as IncomeDraft['period'],
      memberId: one.memberId ?? '',
      declared: typed(one.declaredFen),
      verified: typed(one.verifiedFen),
      startedOn: one.startedOn,
      endedOn: one.endedOn,
    })),
    properties: home.properties.map((one) => {
      const kind = one.kind as PropertyDraft['kind'];
      const say = kind === 'deposit' ? typed : text;
      return {
        id: one.id,
        kind,
        note: one.note,
        memberId: one.memberId ?? '',
        declared: say(one.declared),
        verified: say(one.verified),
      };
    }),
    relatives: home.relatives.map(({ name, office, relation }) => ({ name, office, relation })),
    bank: { holderName: home.bankHolder ?? '', bankName: home.bankName ?? '', card: '', mask: home.cardMask ?? '' },
  };
}

export function bodyOf(draft: Draft): Body {
  const { latitude, longitude, datum } = draft.place;
  return {
    address: draft.address.trim(),
    phone: draft.phone.trim() || null,
    class: draft.class || null,
    place: latitude && longitude ? { latitude: Number(latitude), longitude: Number(longitude), datum } : null,
    members: draft.members.map((one) => {
      // Sex and birth follow a number that is typed; what stood before may be what was wrong.
      const follows = Boolean(one.idNumber.trim());
      return {
        id: one.id,
        name: one.name.trim(),
        relation: one.relation,
        idNumber: one.idNumber.trim() || null,
        sex: follows ? null : one.sex || null,
        bornOn: follows ? null : one.bornOn || null,
        health: one.health || null,
        labourAbility: one.labourAbility || null,
        school: one.school || null,
        work: one.work || null,
      };
    }),
    incomes: draft.incomes.map((one) => ({
      id: one.id,
      kind: one.kind,
      category: one.category.trim(),
      period: one.period,
      memberId: one.memberId || null,
      declaredFen: readYuan(one.declared) ?? 0,
      verifiedFen: readYuan(one.verified),
      startedOn: one.startedOn,
      endedOn: one.endedOn,
    })),
    properties: draft.properties.map((one) => {
      const read = one.kind === 'deposit' ? readYuan : readCount;
      return {
        id: one.id,
        kind: one.kind,
        note: one.note.trim(),
        memberId: one.memberId || null,
        declared: read(one.declared) ?? 0,
        verified: read(one.verified),
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

/** What can't be sent as it stands: amounts that are none, members without a name. */
export function isWhole(draft: Draft): boolean {
  const amounts = [...draft.incomes, ...draft.properties.filter((one) => one.kind === 'deposit')];
  return (
    draft.address.trim() !== '' &&
    draft.members.length > 0 &&
    draft.members.every((one) => one.name.trim() && one.relation && (one.idNumber.trim() || (one.sex && one.bornOn))) &&
    amounts.every(
      (one) => readYuan(one.declared) !== null && (one.verified === '' || readYuan(one.verified) !== null),
    ) &&
    draft.properties.every((one) => one.kind === 'deposit' || readCount(one.declared) !== null)
  );
}

function typed(fen: number | null): string {
  return fen === null ? '' : (fen / 100).toFixed(2);
}
function text(value: number | null): string {
  return value === null ? '' : String(value);
}
function readCount(value: string): number | null {
  return /^\s*\d{1,6}\s*$/.test(value) ? Number(value) : null;
}
