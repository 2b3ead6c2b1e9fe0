// Describe what one version of a household changed: label, value before, value after.
import type { components } from '@shared/api/wire.d.ts';
import { formatYuan } from '@shared/format.ts';
import { defineMessages } from '@shared/i18n.ts';
import { INCOME_KINDS, MEMBER_FIELDS, INCOME_PERIODS, PROPERTY_KINDS, getLabel } from '../labels.ts';

type Difference = components['schemas']['Difference'];
type HouseholdDetail = components['schemas']['HouseholdDetail'];

const t = defineMessages({
  members: ['成员', 'Member'],
  incomes: ['收入与支出', 'Income'],
  properties: ['财产', 'Property'],
  relatives: ['近亲属备案', 'Relatives'],
  address: ['住址', 'Address'],
  group: ['村民组', 'Group'],
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
  disabilityKind: ['残疾类别', 'Disability'],
  disabilityGrade: ['残疾等级', 'Grade'],
  illness: ['重病病种', 'Grave illness'],
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

export interface DescribedDifference {
  key: string;
  label: string;
  before: string;
  after: string;
}

export function describeDifference({ pointer, before, after }: Difference, home: HouseholdDetail): DescribedDifference {
  const [, part = '', id = '', field = ''] = pointer.split('/');
  const list = ['members', 'incomes', 'properties'].includes(part);
  const label = list
    ? [getEntryName(part, id, before ?? after, home), field && getFieldLabel(field)].filter(Boolean).join(' ')
    : getFieldLabel(part);
  const key = list ? field : part;
  return { key: pointer, label, before: formatValue(key, before), after: formatValue(key, after) };
}

function getFieldLabel(code: string): string {
  return KEYS.has(code) ? t(code as Key) : t('other');
}

function getEntryName(part: string, id: string, formatRow: unknown, home: HouseholdDetail): string {
  const row = (typeof formatRow === 'object' && formatRow ? formatRow : {}) as { name?: string; kind?: string };
  if (part === 'members') return home.members.find((member) => member.id === id)?.name ?? row.name ?? t('members');
  const kind = (part === 'incomes' ? home.incomes : home.properties).find((entry) => entry.id === id)?.kind ?? row.kind;
  return kind ? getLabel(part === 'incomes' ? INCOME_KINDS : PROPERTY_KINDS, kind) : t(part as Key);
}

function formatValue(key: string, content: unknown): string {
  if (content === null || content === undefined || content === '') return '–';
  if (typeof content === 'boolean') return content ? t('yes') : t('no');
  if (typeof content === 'number') return key.endsWith('Fen') ? formatYuan(content) : String(content);
  if (typeof content === 'object') return formatRow(content as Record<string, unknown>);
  const words =
    MEMBER_FIELDS[key] ??
    (key === 'period' ? INCOME_PERIODS : key === 'kind' ? { ...INCOME_KINDS, ...PROPERTY_KINDS } : undefined);
  return words?.[String(content)] ? getLabel(words, String(content)) : String(content);
}

/** Format a member, an income or a list that was added or removed as a whole. */
function formatRow(row: Record<string, unknown>): string {
  const parts = Object.entries(row).filter(
    ([key, field]) => field !== null && field !== '' && !['id', 'memberId', 'declaredOn'].includes(key),
  );
  return (
    parts.map(([key, field]) => (Array.isArray(row) ? formatValue('', field) : formatValue(key, field))).join(' ') ||
    '–'
  );
}

const KEYS = new Set([
  'members',
  'incomes',
  'properties',
  'relatives',
  'address',
  'group',
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
  'disabilityKind',
  'disabilityGrade',
  'illness',
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
