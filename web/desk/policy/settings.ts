// Groups, units and formatting of policy settings. The keys are the server's.
import { formatYuan } from '@shared/format.ts';
import { pluralize, language, localize, defineMessages, type Message } from '@shared/i18n.ts';
import { FINDINGS, VISIT_KINDS } from '../labels.ts';
import { SETTING_NAMES } from './settingNames.ts';

type Labels = Record<string, Message>;

const t = defineMessages({
  severityOf: ['疑点轻重：{name}', 'Severity: {name}'],
  template: ['订阅消息：{name}', 'Subscribe message: {name}'],
  other: ['其他规则', 'Another rule'],
  yes: ['是', 'Yes'],
  no: ['否', 'No'],
  none: ['无', 'None'],
  nothing: ['未设', 'Not set'],
  items: ['{n} 项', '{n:entry|entries}'],
  noLimit: ['不限', 'No limit'],
  until: ['{name}（至 {day}）', '{name} (until {day})'],
  separator: ['、', ', '],
  serial: ['{n} 位顺序号', 'a serial number of {n:digit|digits}'],
  semicolon: ['；', '; '],
  byDefault: ['项目默认', 'Project default'],
  wechat: ['微信的做法', 'What WeChat does'],
  law: ['法律法规', 'Law'],
  practice: ['部分单位的做法', 'Practice of offices'],
  demo: ['演示数据', 'Demo'],
  notYet: ['地区未制定', 'None until an area writes its own'],
  authors: ['算法作者建议', 'The method’s authors'],
});

export const SETTING_GROUPS: Labels = {
  visit: ['走访', 'Visits'],
  photo: ['照片', 'Photos'],
  income: ['收入', 'Income'],
  review: ['审核', 'Review'],
  case: ['办理程序', 'Procedure'],
  amount: ['金额', 'Amounts'],
  hearing: ['评议', 'Hearings'],
  posting: ['公示', 'Postings'],
  complaint: ['投诉', 'Complaints'],
  change: ['变化', 'Changes'],
  notice: ['提醒', 'Notices'],
  retention: ['照片保存', 'Keeping photos'],
  privacy: ['个人信息', 'Personal data'],
  sign_in: ['登录', 'Signing in'],
  recheck: ['在保核对', 'Checks of those paid'],
  proof: ['定期证明', 'Proofs'],
  grace: ['渐退延期', 'Gradual exit'],
  answers: ['答案', 'Answers'],
  reveal: ['查看完整号码', 'Revealing numbers'],
  reads: ['查阅记录', 'Read trail'],
  finding: ['疑点轻重', 'Severity of findings'],
  duplicates: ['疑似重复', 'Duplicates'],
  staff: ['人员', 'Staff'],
};

const TEMPLATES: Labels = {
  accepted: ['受理', 'accepted'],
  answered: ['答复', 'answered'],
  assigned: ['派单', 'assigned'],
  bound: ['绑定', 'bound'],
  changed: ['变更', 'changed'],
  complaint_due: ['投诉到期', 'complaint due'],
  decided: ['决定', 'decided'],
  due_tomorrow: ['明日到期', 'due tomorrow'],
  proof_due: ['定期证明', 'proof due'],
  grace_ending: ['渐退期将满', 'gradual exit ends'],
  payday: ['款项到账', 'payday'],
  device_opened: ['新设备登录', 'another device'],
  papers: ['补材料', 'papers'],
  posted: ['公示', 'posted'],
  returned: ['退回', 'returned'],
  visit_blocked: ['走访无法派发', 'visit without a checklist'],
  register_changed: ['家庭登记有变动', 'household record changed'],
  deadline_moved: ['办理期限重新计算', 'deadline counted anew'],
  sign_in_changed: ['登录方式有变动', 'sign-in changed'],
};

/** Labels of fields and codes inside a setting's value. */
const PARTS: Labels = {
  ...TEMPLATES,
  count: ['数量', 'Count'],
  unit: ['单位', 'Unit'],
  days: ['天', 'day|days'],
  working_days: ['工作日', 'working day|working days'],
  A: ['A 类', 'Class A'],
  B: ['B 类', 'Class B'],
  C: ['C 类', 'Class C'],
  from: ['从（点）', 'From (hour)'],
  to: ['到（点）', 'To (hour)'],
  templateId: ['模板编号', 'Template id'],
  page: ['打开的页面', 'Page'],
  serviceSubscribe: ['服务号订阅通知', 'Service account, subscribed'],
  serviceTemplate: ['服务号模板消息', 'Service account, followers'],
  longTerm: ['长期订阅', 'Long-term'],
  sms: ['短信模板', 'Template of the text message'],
  publicKey: ['银行公钥（age1…）', 'The bank’s key (age1…)'],
  miniprogram: ['小程序订阅消息', 'Mini-program, subscribed'],
  service_subscribe: ['服务号订阅通知', 'Service account, subscribed'],
  service_template: ['服务号模板消息', 'Service account, followers'],
  fields: ['字段', 'Fields'],
  what: ['事项', 'What'],
  when: ['时间', 'When'],
  where: ['地点', 'Where'],
  code: ['代码', 'Code'],
  zh: ['中文名', 'Chinese'],
  en: ['英文名', 'English'],
  situation: ['情形', 'Situation'],
  untilFen: ['人均收入至（元）', 'Income a head up to (yuan)'],
  perHeadFen: ['每人每月（元）', 'A head and month (yuan)'],
  urban: ['城市（元）', 'Town (yuan)'],
  rural: ['农村（元）', 'Country (yuan)'],
  toFen: ['取整到（分）', 'To (fen)'],
  mode: ['方式', 'How'],
  half_up: ['四舍五入', 'Half up'],
  up: ['向上', 'Up'],
  percent: ['比例(%)', 'Percent'],
  fen: ['金额（元）', 'Amount (yuan)'],
  county: ['县级', 'County'],
  town: ['乡镇', 'Town'],
  letter: ['城乡字母', 'Letter'],
  year: ['年份', 'Year'],
  differential: ['差额', 'Differential'],
  stepped: ['分档', 'Stepped'],
  next: ['决定次月', 'The month after'],
  same: ['决定当月', 'The same month'],
  half: ['超过半数', 'More than half'],
  two_thirds: ['达到三分之二', 'At least two thirds'],
  highest: ['取最高一项', 'The highest'],
  sum: ['相加', 'The sum'],
  info: ['信息', 'Info'],
  notice: ['提示', 'Notice'],
  warning: ['警示', 'Warning'],
  critical: ['严重', 'Critical'],
  off: ['不检查', 'Off'],
  veteran_benefit: ['优抚', 'Veterans’ benefit'],
  family_planning: ['计生奖扶', 'Family planning award'],
  scholarship: ['奖学金', 'Scholarship'],
  bravery: ['见义勇为', 'Bravery award'],
  social_assistance: ['社会救助款物', 'Social assistance'],
  basic_pension: ['中央确定的基础养老金', 'Central basic pension'],
  since: ['起', 'From'],
  until: ['止', 'Until'],
  aged: ['老年人', 'Old people'],
  age_70: ['70 周岁以上', '70 or older'],
  minor: ['未成年人', 'Minors'],
  severe_disability: ['重度残疾', 'Grave disability'],
  serious_illness: ['重病', 'Grave illness'],
  single_parent: ['单亲家庭未成年人', 'Child of a single parent'],
  student: ['在校学生', 'Students'],
  rural_homes: ['农村低保家庭', 'Rural dibao'],
  home: ['住房（套）', 'Homes'],
  vehicle: ['机动车（辆）', 'Vehicles'],
  business: ['经营主体（个）', 'Businesses'],
  depositPerHeadFen: ['人均存款（元）', 'Deposits a head (yuan)'],
  disability: ['残疾', 'Disability'],
  illness: ['疾病', 'Illness'],
  school: ['就学', 'School'],
  divorce: ['离异', 'Divorce'],
  employment: ['就业', 'Employment'],
  ...VISIT_KINDS,
  key: ['名称', 'Name'],
  value: ['值', 'Value'],
};

const UNITS: [RegExp, Message][] = [
  [/_kmh$/, ['公里/小时', 'km/h']],
  [/_working_days$/, ['个工作日', 'working day|working days']],
  [/_days$|_days_before$|_days_max$/, ['天', 'day|days']],
  [/_months$/, ['个月', 'month|months']],
  [/_hours$/, ['小时', 'hour|hours']],
  [/_hour$/, ['点', 'o’clock']],
  [/_min$|_minutes$/, ['分钟', 'minute|minutes']],
  [/_m$/, ['米', 'm']],
  [/_s$/, ['秒', 's']],
  [/_percent$/, ['%', '%']],
  [/_per_month$/, ['条', 'message|messages']],
  [/_bits$/, ['位', 'bit|bits']],
  [/_most$|_fixes$|_accuracies$/, ['次', 'time|times']],
  [/\.fewest$/, ['张', 'photo|photos']],
  [/\.homes_per_day$/, ['户', 'home|homes']],
  [/_rounds$/, ['轮', 'round|rounds']],
  [/panel_size$/, ['人', 'person|people']],
  [/places_least$/, ['处', 'place|places']],
  [/_fen$|Fen$|^fen$|^urban$|^rural$/, ['元', 'yuan']],
];

export function getSettingGroup(key: string): string {
  return key.split('.')[0]!;
}

export function getSettingName(key: string): string {
  if (key.startsWith('finding.')) return t('severityOf', { name: localize(FINDINGS[key.slice(8)] ?? ['其他', key]) });
  if (key.startsWith('notice.template.'))
    return t('template', { name: localize(TEMPLATES[key.slice(16)] ?? ['其他', key]) });
  return SETTING_NAMES[key] ? localize(SETTING_NAMES[key]) : t('other');
}

/** Return the label of a field or code inside a value; a code that an area invented is returned unchanged. */
export function getPartLabel(code: string, count = 2): string {
  return PARTS[code] ? pluralize(localize(PARTS[code]), count) : code;
}

/** Return the unit of a setting in the form for `count`; plural by default. */
export function getUnit(key: string, count = 2): string {
  const found = UNITS.find(([fits]) => fits.test(key));
  return found ? pluralize(localize(found[1]), count) : '';
}

export function isMoney(key: string): boolean {
  return /(_fen|Fen)$|^(fen|urban|rural)$/.test(key) && key !== 'toFen';
}

/** Format a value in one line. */
export function formatSetting(key: string, value: unknown): string {
  if (value === null || value === undefined) return key === 'untilFen' ? t('noLimit') : t('nothing');
  if (typeof value === 'boolean') return value ? t('yes') : t('no');
  if (typeof value === 'number') return `${isMoney(key) ? formatYuan(value) : value} ${getUnit(key, value)}`.trim();
  if (typeof value === 'string') return value === '' ? t('nothing') : getPartLabel(value);
  if (Array.isArray(value)) return formatList(key, value);
  if (key === 'certificate.number') return formatNumberPattern(value as { parts: string[]; digits: number });
  return formatObject(value as Record<string, unknown>);
}

/** Format what the number of a certificate is made of, in order. */
function formatNumberPattern({ parts, digits }: { parts: string[]; digits: number }): string {
  return [...parts.map((part) => getPartLabel(part)), t('serial', { n: digits })].join(t('separator'));
}

function formatList(key: string, value: unknown[]): string {
  if (!value.length) return t('none');
  const names = value.map((item) =>
    typeof item === 'object' && item ? formatEntry(item as Record<string, string | null>) : formatSetting(key, item),
  );
  if (key === 'case.papers' || key === 'case.stop_grounds' || key === 'proof.required')
    return names.join(t('separator'));
  if (typeof value[0] === 'object' && key !== 'amount.steps') return t('items', { n: value.length });
  if (key === 'amount.steps')
    return value.map((item) => formatObject(item as Record<string, unknown>)).join(t('semicolon'));
  return value.length > 8 ? t('items', { n: value.length }) : names.join(t('separator'));
}

/** Format an entry of a list: a paper by its name, a category by its name and last day. */
function formatEntry(entry: Record<string, string | null>): string {
  const name = entry[language.value] ?? (entry['code'] ? getPartLabel(entry['code']) : '');
  return entry['until'] ? t('until', { name, day: entry['until'] }) : name;
}

function formatObject(value: Record<string, unknown>): string {
  if ('count' in value && 'unit' in value)
    return `${String(value['count'])} ${getPartLabel(String(value['unit']), Number(value['count']))}`;
  if (typeof value['zh'] === 'string' && typeof value['en'] === 'string') return String(value[language.value]);
  if ('templateId' in value) return value['templateId'] ? String(value['templateId']) : t('none');
  const parts = Object.entries(value).map(
    ([name, item]) => `${getPartLabel(name)} ${formatSetting(name, item).replace(/ 元$| yuan$/, '')}`,
  );
  return parts.join(t('separator')) || t('none');
}

const SOURCES: [RegExp, 'byDefault' | 'law' | 'practice' | 'demo' | 'notYet' | 'authors' | 'wechat'][] = [
  [/^project default/, 'byDefault'],
  [/^law/, 'law'],
  [/^practice/, 'practice'],
  [/^demo/, 'demo'],
  [/^none until/, 'notYet'],
  [/authors:/, 'authors'],
  [/^WeChat/, 'wechat'],
];

/** A Chinese law and its sections, at the start of a source that goes on in English. */
const LAW = /^[\u3400-\u9fff]+ §\d+( and §\d+)*/;

/** Describe the source of a setting. Built-in settings have an English source, which is summarised in Chinese. */
export function describeSource(source: string): string {
  const found = language.value === 'zh' && SOURCES.find(([fits]) => fits.test(source));
  if (!found) return language.value === 'zh' && LAW.test(source) ? LAW.exec(source)![0].replace(' and ', '、') : source;
  const named = /《[^》]+》[^;；]*/.exec(source)?.[0] ?? /: ([\u3400-\u9fff《][^;；]*)$/.exec(source)?.[1];
  return named ? `${t(found[1])}，${named}` : t(found[1]);
}
