// Names, units and formatting of policy settings. The keys are the server's; a browser test fails for a setting without
// a name here.
import { formatYuan } from '@shared/format.ts';
import { pluralize, language, localize, defineMessages, type Message } from '@shared/i18n.ts';
import { FINDINGS, VISIT_KINDS } from '../labels.ts';

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

const SETTING_NAMES: Labels = {
  'office.hotline': ['办公室服务电话', 'The office’s hotline'],
  'visit.unordered_kinds': ['可不经安排自行发起的走访', 'Kinds of visit that need no order'],
  'visit.home_radius_m': ['定位距住址允许半径', 'Radius around the home'],
  'visit.partner_distance_m': ['两名调查人员允许相距', 'Investigators apart at most'],
  'visit.photo_distance_m': ['照片距走访地点允许', 'Photo from the visit at most'],
  'visit.photo_time_margin_min': ['照片时间允许偏差', 'Photo time off at most'],
  'field.earliest_day': ['最早可信的走访日期', 'Earliest day that a phone may report'],
  'field.clock_ahead_min': ['手机时间最多可早于服务器', 'How far a phone’s clock may be ahead'],
  'household.id_checks_per_day': ['每人每天可核对身份证号次数', 'ID number checks per person and day'],
  'staff.homes_most': ['每名专干最多负责户数', 'Homes that a person may hold'],
  'duplicates.phone_homes': ['多少户共用一个电话即列为疑似重复', 'Homes with one phone, to be listed'],
  'duplicates.account_homes': ['多少户共用一个账户即列为疑似重复', 'Homes with one account, to be listed'],
  'visit.shortest_min': ['走访最短时长', 'Shortest visit'],
  'visit.overlap_min': ['走访时间允许重叠', 'Overlap of visits at most'],
  'visit.burst_minutes': ['短时多次走访的时段', 'Span of a burst'],
  'visit.burst_most': ['该时段内最多走访', 'Visits in that span at most'],
  'visit.same_accuracy_fixes': ['精度连续相同的定位次数', 'Fixes with one accuracy'],
  'visit.unchanged_visits': ['连续全部“与上次相同”的走访次数', 'Visits in a row with nothing changed'],
  'visit.same_spot_m': ['同一地点的范围', 'One spot is within'],
  'visit.same_spot_accuracies': ['同一地点不同精度次数', 'Accuracies on one spot'],
  'visit.same_spot_homes_m': ['同一地点两户至少相距', 'One spot: homes at least apart'],
  'visit.repeated_fix_s': ['定位允许重复的时间', 'A fix may repeat within'],
  'photo.after_receipt_min': ['照片可晚于接收', 'Photo after receipt within'],
  'answers.school_from_age': ['义务教育最小年龄', 'Compulsory school from age'],
  'answers.school_until_age': ['义务教育最大年龄', 'Compulsory school until age'],
  'answers.grown_up_age': ['成年年龄', 'Grown up from age'],
  'answers.work_from_age': ['可就业年龄', 'May work from age'],
  'visit.earliest_hour': ['走访最早钟点', 'Earliest hour'],
  'visit.latest_hour': ['走访最晚钟点', 'Latest hour'],
  'visit.fastest_kmh': ['两次走访间最快时速', 'Fastest between visits'],
  'visit.clock_offset_max_s': ['手机时钟允许偏差', 'Clock off at most'],
  'visit.offline_days_max': ['手机最长离线', 'Longest offline'],
  'visit.shared_phone_days': ['多人共用手机的回看天数', 'Look back for shared phones'],
  'income.differs_percent': ['收入申报与查实允许相差（比例）', 'Income differs by share'],
  'income.differs_fen': ['收入申报与查实允许相差（金额）', 'Income differs by amount'],
  'photo.near_duplicate_bits': ['近似照片指纹允许相差', 'Near duplicate within'],
  'photo.editors': ['修图软件名单', 'Editing programs'],
  'photo.screen_sizes': ['常见屏幕尺寸', 'Screen sizes'],
  'photo.screen_ratio': ['疑似截屏的长宽比', 'Ratio of a screen'],
  'photo.late_hours': ['照片最迟上传', 'Photo late after'],
  'photo.fewest': ['每次走访最少照片', 'Fewest photos'],
  'review.finding_days': ['每条疑点相当于等候（天）', 'A finding counts as waiting (days)'],
  'review.undo_s': ['决定可撤销的时间', 'A decision can be undone for'],
  'review.judged_before_acceptance': ['通过前须判断的疑点等级', 'Severities judged before acceptance'],
  'review.bulk_tolerates': ['批量通过可容忍的疑点', 'Findings tolerated in bulk'],
  'review.interval_months': ['定期复核间隔（月）', 'Months between reviews'],
  'review.homes_per_day': ['每组每天走访户数', 'Homes a day'],
  'review.round_days': ['同日走访的到期日最多相差', 'Due days of a round at most apart'],
  'review.schedule_ahead_days': ['提前排定复核', 'Schedule ahead'],
  'notice.quiet_hours': ['免打扰时段', 'Quiet hours'],
  'notice.ways': ['微信消息的先后方式', 'Order of the ways of WeChat'],
  'notice.sms_kinds': ['未送达时发短信的事项', 'Told by text message where nothing else reached'],
  'notice.sms_after_hours': ['多久未送达即发短信', 'A text goes after'],
  'notice.sms_per_month': ['每月告知短信预算', 'Budget of text messages a month'],
  'case.survey_start_working_days': ['开始入户调查期限', 'Survey begins within'],
  'case.decision_working_days': ['办结期限', 'Decision within'],
  'case.decision_extended_working_days': ['延长后的办结期限', 'Extended decision within'],
  'case.decision_delegated_working_days': ['委托乡镇时的办结期限', 'Delegated decision within'],
  'case.cross_check_start_working_days': ['开始核对期限', 'Cross-check begins within'],
  'case.county_opinion_working_days': ['县级审核期限', 'County opinion within'],
  'case.refusal_notice_working_days': ['不予保障告知期限', 'Refusal told within'],
  'case.posting_days': ['公示天数', 'Posting lasts'],
  'case.posting_rounds': ['公示轮次', 'Rounds of posting'],
  'case.decided_by': ['审核确认机关', 'Decided by'],
  'sign_in.second_factor_required': ['工作台须用动态码登录', 'Desk sign-in takes a second factor'],
  'proof.required': ['定期提交的证明', 'Proofs handed in again and again'],
  'proof.days': ['定期证明提交期限（天）', 'Days to hand a proof in'],
  'grace.defer_most_months': ['渐退期满后最多延期（月）', 'Months that an end may be deferred'],
  'recheck.months': ['在保家庭每隔几个月核对一次', 'Months between checks of those paid'],
  'recheck.answer_days': ['部门反馈期限', 'An office answers within'],
  'recheck.settle_days': ['核对差异办理期限', 'A difference is looked into within'],
  'case.hearing_required': ['每案都开民主评议', 'Every case has a hearing'],
  'case.first_month': ['首次发放月份', 'First month paid'],
  'hearing.majority': ['评议通过的票数', 'Votes that pass a hearing'],
  'case.objection_stops_clock': ['有异议时暂停计时', 'An objection stops the clock'],
  'case.found_difference_fen': ['走访与测算人均相差超过多少须说明', 'Visit and calculation may differ, a head'],
  'case.stop_grounds': ['停发原因', 'Grounds of a stop'],
  'case.come_back_months': ['停发后多少个月内可不经申请恢复', 'May come back without applying within'],
  'case.papers': ['申请所需材料', 'Papers of an application'],
  'publicity.months': ['多久至少宣传一次政策', 'Publicity at least every'],
  'posting.places_least': ['每村最少张贴处', 'Places at least'],
  'retention.visit_photo_days': ['走访照片：停保之后', 'Visit photos: after a stop'],
  'retention.record_photo_days': ['其他工作照片：提交之后', 'Photos of other work: after submission'],
  'retention.posting_photo_days': ['公示照片：张贴之后', 'Posting photos: after hanging up'],
  'retention.unsubmitted_photo_days': ['未提交走访的照片', 'Photos of visits never submitted'],
  'retention.returned_paper_days': ['退回的材料照片', 'Papers sent back'],
  'retention.mismatched_days': ['与登记不符的文件', 'Bytes nobody announced'],
  'privacy.notice': ['隐私告知书（改动须换版本号）', 'Privacy notice (a change needs a new version)'],
  'privacy.answer_days': ['个人信息请求答复期限', 'Requests about data answered within'],
  'privacy.case_file_days': ['审核确认档案：停保之后', 'Files of a case: after the stop'],
  'hearing.quorum_percent': ['评议到会比例', 'Quorum'],
  'hearing.panel_size': ['评议小组人数', 'Size of the panel'],
  'complaint.register_days': ['投诉受理、转送或告知期限', 'Accept, forward or tell within'],
  'complaint.decide_days': ['投诉办结期限（自受理）', 'Decide within, from acceptance'],
  'complaint.extension_days': ['投诉可延长', 'Extension'],
  'complaint.visit_days': ['投诉核查走访期限', 'Visit for a complaint within'],
  'complaint.remind_days_before': ['投诉到期前提醒', 'Remind before'],
  'reveal.per_day': ['每人每天查看完整号码上限', 'Numbers revealed a person and day at most'],
  'reads.unusual_opened': ['每天查阅超过即列入总览', 'Opened a day: listed above'],
  'reads.unusual_exported': ['每天导出行数超过即列入总览', 'Rows exported a day: listed above'],
  'change.death_months': ['死亡后处理期限', 'Death handled within'],
  'amount.standard_fen': ['低保标准（每人每月）', 'Standard a head and month'],
  'amount.method': ['计算方法', 'Method'],
  'amount.steps': ['分档标准', 'Steps'],
  'amount.uplifts': ['分类施保上浮', 'Uplifts'],
  'amount.uplifts_combine': ['多项上浮时', 'Several uplifts'],
  'amount.aged_from': ['老年人年龄（分类施保）', 'Old from age, for uplifts'],
  'amount.work_cost_percent': ['就业成本扣减上限（劳动收入的比例）', 'Cost of work, of work income at most'],
  'amount.disregard_months': ['新就业收入减免期', 'New wages disregarded for'],
  'amount.disregard_percent': ['减免上限（月标准的比例）', 'Disregarded at most, of the monthly standard'],
  'amount.exit_grace_months': ['渐退期', 'Grace above the standard'],
  'amount.single_person_percent': ['单人保收入上限（标准的比例）', 'Single person, of the standard'],
  'amount.edge_property_limits': ['低保边缘家庭财产限额', 'Property of an edge household at most'],
  'amount.grave_illnesses': ['单人保重病名录', 'Grave illnesses, for single persons'],
  'amount.single_disabled_adult': ['成年无业重残人单独纳入', 'Gravely disabled adults without work, alone'],
  'change_return.village_day': ['村（社区）次月几日前上报变动月报', 'Villages send the return of a month by the day'],
  'change_return.town_day': ['乡镇（街道）次月几日前上报变动月报', 'Towns send the return of a month by the day'],
  'certificate.issued': ['审核确认时发低保证', 'A certificate is issued on a grant'],
  'certificate.number': ['低保证编号', 'Number of a certificate'],
  'certificate.months': ['低保证有效期', 'A certificate is valid for'],
  'certificate.renewed': ['到期的低保证自动延续', 'A certificate that expires is renewed'],
  'roster.needs_certificate': ['发放须有有效低保证', 'A payment needs a valid certificate'],
  'aid.kinds': ['救助台账的种类', 'Kinds of linked aid'],
  'roster.programs': ['发放项目', 'Programs that are paid'],
  'roster.bank_forms': ['银行文件格式', 'Forms of bank files'],
  'roster.payday': ['款项从每月几日起到账', 'Day of the month from which money is in the account'],
  'roster.payday_shows_sum': ['到账消息写明金额', 'The message of payday says the sum'],
  'roster.people': ['造册、审核、发送的人数', 'People who prepare, check and send'],
  'roster.arrears_months': ['补发与扣回最多追溯', 'Arrears and recoveries go back'],
  'roster.outlier_percent': ['金额异常的幅度', 'A payment is unusual from'],
  'amount.rounding': ['金额取整', 'Rounding'],
  'amount.least_fen': ['最低发放金额', 'Least amount'],
  'amount.not_counted': ['不计入的收入', 'Income not counted'],
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
  return formatObject(value as Record<string, unknown>);
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
