// What one version of a household changed, in words: whose, what, from what to what.
import type { components } from '@shared/api/wire.d.ts';
import { yuan } from '@shared/format.ts';
import { say } from '@shared/i18n.ts';
import { INCOMES, MEMBER, PERIODS, PROPERTIES, word } from '../words.ts';

type Difference = components['schemas']['Difference'];
type Home = components['schemas']['HouseholdPage'];

const t = say({
  members: ['成员', 'Member'],
  incomes: ['收入与支出', 'Income'],
  properties: ['财产', 'Property'],
  relatives: ['近亲属备案', 'Relatives'],
  address: ['住址', 'Address'],
  phoneMask: ['电话', 'Phone'],
  latitude: ['纬度', 'Latitude'],
  longitude: ['经度', 'Longitude'],
  datum: ['坐标系', 'Datum'],
  class: ['类别', 'Class'],
  monthlyAmountFen: ['月保障金（元）', 'Monthly amount (yuan)'],
  relativeOnStaff: ['有近亲属备案', 'Relative on staff'],
  bankHolder: ['户名', 'Holder'],
  bankName: ['银行', 'Bank'],
  cardMask: ['卡号', 'Card'],
  name: ['姓名', 'Name'],
  relation: ['关系', 'Relation'],
  sex: ['性别', 'Sex'],
  bornOn: ['出生', 'Born'],
  idNumberMask: ['身份证号', 'ID number'],
  health: ['健康', 'Health'],
  labourAbility: ['劳动能力', 'Labour'],
  school: ['就学', 'School'],
  work: ['就业', 'Work'],
  declaredFen: ['申报（元）', 'Declared (yuan)'],
  verifiedFen: ['核定（元）', 'Verified (yuan)'],
  declared: ['申报', 'Declared'],
  verified: ['核定', 'Verified'],
  category: ['说明', 'Category'],
  period: ['周期', 'Period'],
  kind: ['项目', 'Kind'],
  note: ['备注', 'Note'],
  memberId: ['归属', 'Whose'],
  startedOn: ['开始', 'Started'],
  endedOn: ['结束', 'Ended'],
  other: ['其他', 'Other'],
  yes: ['是', 'Yes'],
  no: ['否', 'No'],
});
type Key = Parameters<typeof t>[0];

export interface Said {
  key: string;
  label: string;
  before: string;
  after: string;
}

export function sayDifference({ pointer, before, after }: Difference, home: Home): Said {
  const [, part = '', id = '', field = ''] = pointer.split('/');
  const list = ['members', 'incomes', 'properties'].includes(part);
  const label = list
    ? [nameOf(part, id, before ?? after, home), field && named(field)].filter(Boolean).join(' ')
    : named(part);
  const key = list ? field : part;
  return { key: pointer, label, before: value(key, before), after: value(key, after) };
}

function named(code: string): string {
  return KEYS.has(code) ? t(code as Key) : t('other');
}

function nameOf(part: string, id: string, whole: unknown, home: Home): string {
  const row = (typeof whole === 'object' && whole ? whole : {}) as { name?: string; kind?: string };
  if (part === 'members') return home.members.find((one) => one.id === id)?.name ?? row.name ?? t('members');
  const found = (part === 'incomes' ? home.incomes : home.properties).find((one) => one.id === id)?.kind ?? row.kind;
  return found ? word(part === 'incomes' ? INCOMES : PROPERTIES, found) : t(part as Key);
}

function value(key: string, said: unknown): string {
  if (said === null || said === undefined || said === '') return '–';
  if (typeof said === 'boolean') return said ? t('yes') : t('no');
  if (typeof said === 'number') return key.endsWith('Fen') ? yuan(said) : String(said);
  if (typeof said === 'object') return whole(said as Record<string, unknown>);
  const words =
    MEMBER[key] ?? (key === 'period' ? PERIODS : key === 'kind' ? { ...INCOMES, ...PROPERTIES } : undefined);
  return words?.[String(said)] ? word(words, String(said)) : String(said);
}

/** A member, an income or a list that came or went as a whole. */
function whole(row: Record<string, unknown>): string {
  const parts = Object.entries(row).filter(
    ([key, one]) => one !== null && one !== '' && !['id', 'memberId', 'declaredOn'].includes(key),
  );
  return parts.map(([key, one]) => (Array.isArray(row) ? value('', one) : value(key, one))).join(' ') || '–';
}

const KEYS = new Set([
  'members',
  'incomes',
  'properties',
  'relatives',
  'address',
  'phoneMask',
  'latitude',
  'longitude',
  'datum',
  'class',
  'monthlyAmountFen',
  'relativeOnStaff',
  'bankHolder',
  'bankName',
  'cardMask',
  'name',
  'relation',
  'sex',
  'bornOn',
  'idNumberMask',
  'health',
  'labourAbility',
  'school',
  'work',
  'declaredFen',
  'verifiedFen',
  'declared',
  'verified',
  'category',
  'period',
  'kind',
  'note',
  'memberId',
  'startedOn',
  'endedOn',
]);
