// Describe the facts of an audit entry: labels for names and codes, the last eight characters of hashes and ids.
import { formatYuan } from '@shared/format.ts';
import { localize, type Message } from '@shared/i18n.ts';
import {
  COMPLAINT_CHANNELS,
  CHECK_SOURCES,
  COMPLAINT_FINDINGS,
  CASE_EVENTS,
  RECORD_KINDS,
  VISIT_KINDS,
  NOTICE_KINDS,
  REVIEW_OUTCOMES,
} from '../labels.ts';

const FACT_NAMES: Record<string, Message> = {
  ['stopped']: ['已关闭', 'Ended'],
  about: ['关于', 'About'],
  act: ['办理', 'Act'],
  number: ['编号', 'Number'],
  program: ['项目', 'Program'],
  month: ['月份', 'Month'],
  findings: ['疑点', 'Findings'],
  homes: ['户数', 'Homes'],
  total_fen: ['金额（元）', 'Amount (yuan)'],
  hash: ['指纹', 'Hash'],
  file: ['文件指纹', 'Hash of the file'],
  paid: ['已支付', 'Paid'],
  returned: ['已退回', 'Returned'],
  repeated: ['重复', 'Repeated'],
  count: ['数量', 'Count'],
  codes: ['类别', 'Codes'],
  line: ['业务编号', 'Line'],
  record: ['手机登记', 'Record'],
  app: ['端', 'App'],
  again: ['重新打印', 'Printed again'],
  agreed: ['一致', 'Agreed'],
  amount_fen: ['金额（元）', 'Amount (yuan)'],
  answer: ['回答', 'Answer'],
  author: ['提出人', 'Proposed by'],
  ['asked']: ['查询', 'Asked for'],
  assignment: ['任务', 'Task'],
  attestation: ['确认', 'Attestation'],
  beside: ['对照的走访', 'Beside the visit'],
  by: ['方式', 'By'],
  case_id: ['案件', 'Case'],
  cases: ['件数', 'Cases'],
  channel: ['来源', 'Channel'],
  code: ['代码', 'Code'],
  compared: ['对比', 'Compared'],
  deadline: ['期限', 'Deadline'],
  deputy: ['代班人', 'Deputy'],
  deputy_for: ['代班，代', 'As deputy for'],
  duties: ['职责', 'Duties'],
  ends_on: ['止', 'Last day'],
  starts_on: ['起', 'First day'],
  stands_in_for: ['代', 'Stands in for'],
  devices_ended: ['退出的设备', 'Devices signed out'],
  differing: ['不一致', 'Differing'],
  dismissed: ['排除', 'Dismissed'],
  ['doubts']: ['疑点', 'Findings'],
  due_on: ['到期日', 'Due on'],
  drawn: ['抽中', 'Drawn'],
  effective_from: ['生效日期', 'In force from'],
  error: ['错误', 'Error'],
  finding: ['结论', 'Finding'],
  form: ['格式', 'Form'],
  figure: ['查实项目', 'Figure'],
  handed_out: ['已发放', 'Handed out'],
  household: ['家庭', 'Household'],
  in_bulk: ['批量', 'In bulk'],
  key: ['公钥最后 16 位', 'Last letters of the key'],
  kind: ['类型', 'Kind'],
  lines: ['条数', 'Lines'],
  login: ['登录名', 'Login'],
  matches: ['相符', 'Matches'],
  owner: ['本人', 'Owner'],
  replaced: ['替换了先前的结果', 'Replaced an earlier answer'],
  role: ['角色', 'Role'],
  was: ['原状态', 'State before'],
  unread: ['无法读取', 'Could not be read'],
  member_id: ['成员', 'Member'],
  households: ['户数', 'Households'],
  merge: ['合并', 'Merge'],
  not_handed_out: ['未发放', 'Not handed out'],
  notices: ['条数', 'Notices'],
  objects: ['照片和副本', 'Photos and copies'],
  outcome: ['结果', 'Outcome'],
  panel: ['小组人数', 'Panel'],
  part: ['部分', 'Part'],
  passed: ['通过', 'Passed'],
  people: ['人数', 'People'],
  photos: ['照片张数', 'Photos'],
  population: ['总体', 'Population'],
  population_sha256: ['总体指纹', 'Population hash'],
  posting_id: ['公示', 'Posting'],
  proposal: ['更正申请', 'Proposal'],
  reason: ['理由', 'Reason'],
  received: ['收到', 'Received'],
  rendition: ['版本', 'Rendition'],
  rows: ['条数', 'Rows'],
  rule: ['规则', 'Rule'],
  rural_fen: ['农村标准（元）', 'Rural standard (yuan)'],
  seed: ['种子', 'Seed'],
  sha256: ['指纹', 'Hash'],
  source: ['部门', 'Office'],
  staff: ['人员', 'Staff'],
  state: ['状态', 'State'],
  way: ['方式', 'Way'],
  step: ['步骤', 'Step'],
  stops: ['户数', 'Stops'],
  strangers: ['名单外', 'Strangers'],
  team: ['人员', 'Team'],
  thing: ['对象', 'Thing'],
  to: ['移交给', 'To'],
  to_code: ['现代码', 'New code'],
  urban_fen: ['城市标准（元）', 'Urban standard (yuan)'],
  upheld: ['属实', 'Upheld'],
  value: ['值', 'Value'],
  verdict: ['判断', 'Verdict'],
  version: ['版本', 'Version'],
  visit: ['走访', 'Visit'],
  visits: ['走访次数', 'Visits'],
  was_due_on: ['原到期日', 'Was due on'],
  what: ['内容', 'What'],
  why: ['原因', 'Why'],
};
const FACT_VALUES: Record<string, Message> = {
  yes: ['是', 'Yes'],
  no: ['否', 'No'],
  id_number: ['身份证号', 'ID number'],
  phone: ['电话', 'Phone'],
  card: ['卡号', 'Card'],
  bank: ['收款账户', 'Bank account'],
  relatives: ['近亲属备案', 'Relatives on staff'],
  same: ['同一户', 'The same'],
  merged: ['并入', 'Goes into'],
  moved: ['划转', 'Moves'],
  different: ['不是同一户', 'Different'],
  original: ['原图', 'Original'],
  watermarked: ['水印版', 'Watermarked'],
  '320': ['缩略图', 'Small'],
  '1280': ['大图', 'Large'],
};
const FIGURES: Record<string, Message> = {
  wage: ['工资性收入', 'Wages'],
  business: ['经营净收入', 'Net income of a business'],
  property: ['财产净收入', 'Net income of property'],
  transfer: ['转移净收入', 'Net transfers'],
  cost: ['扣减支出', 'Costs, deducted'],
  work_cost: ['就业成本', 'Costs of work'],
  home: ['住房', 'Homes'],
  vehicle: ['车辆', 'Vehicles'],
  deposit: ['存款等金融资产', 'Savings and securities'],
  business_count: ['经营实体', 'Businesses'],
  health: ['健康状况', 'Health'],
  labour_ability: ['劳动能力', 'Ability to work'],
  recommendation: ['复核建议', 'Recommendation'],
};
const CHANGE_OUTCOMES: Record<string, Message> = {
  visit: ['入户核实', 'Visit the home'],
  recalculation: ['重新测算', 'Calculate anew'],
  nothing: ['不影响', 'No effect'],
  dismissed: ['不成立', 'Unfounded'],
  acted: ['已在案件中办理', 'Acted on in the case'],
  explained: ['已说明，无需变动', 'Explained, nothing changes'],
};
/** Papers of the default setting; a paper that an area added is shown by its code. */
const PAPERS: Record<string, Message> = {
  application_form: ['低保申请书', 'Application form'],
  household_register: ['户口簿', 'Household register'],
  id_cards: ['身份证', 'Identity cards'],
  means_declared: ['家庭收入财产声明', 'Declaration of income and property'],
  consent: ['核对授权书', 'Consent to the cross-check'],
};
const NOTICE_SHEETS: Record<string, Message> = {
  accepted: ['受理通知书', 'Notice of acceptance'],
  papers: ['补正材料告知书', 'Notice of missing papers'],
  refused: ['不予保障告知书', 'Notice of refusal'],
  confirmed: ['确认通知书', 'Notice of confirmation'],
  changed: ['变更通知书', 'Notice of change'],
  stopped: ['停保通知书', 'Notice of the stop'],
  calculation: ['金额计算书', 'How the amount was reckoned'],
};
/** Why a device was signed out. */
const SIGN_OUT_REASONS: Record<string, Message> = {
  signed_out: ['本人退出', 'Signed out'],
  ended_by_officer: ['由管理人员结束', 'Ended by an officer'],
  link: ['一次性链接', 'One-time link'],
  reject: ['不接收', 'Refused'],
  pin: ['凭条查询码', 'PIN of the slip'],
  sms: ['短信验证码', 'Code by SMS'],
  counter: ['窗口', 'At the counter'],
  import: ['导入', 'Import'],
  ended_by_owner: ['本人在另一设备上结束', 'Ended from another device'],
  password_changed: ['密码已修改', 'Password changed'],
  refresh_reused: ['令牌被重复使用', 'A token used twice'],
};
const FACT_CODES: Record<string, Record<string, Message>> = {
  code: PAPERS,
  outcome: { ...REVIEW_OUTCOMES, ...CHANGE_OUTCOMES, ...COMPLAINT_FINDINGS },
  step: CASE_EVENTS,
  source: CHECK_SOURCES,
  channel: COMPLAINT_CHANNELS,
  finding: COMPLAINT_FINDINGS,
  figure: FIGURES,
  kind: { ...NOTICE_KINDS, ...VISIT_KINDS, ...RECORD_KINDS, ...NOTICE_SHEETS },
  reason: SIGN_OUT_REASONS,
  part: { findings: ['历次疑点', 'Earlier findings'] },
  why: {
    review: ['审核本次走访', 'Reviewing it'],
    decided: ['查看已审走访', 'It is decided'],
    oversight: ['查看', 'Oversight'],
    case: ['审查材料', 'Papers of a case'],
    posting: ['公示张贴', 'A posting hung up'],
    record: ['其他工作记录', 'A record of other work'],
  },
};

export interface Fact {
  name: string;
  value: string;
  /** An id, a hash or a code without a label: shown in a monospaced font. */
  isCode: boolean;
}

export function describeFacts(facts: Record<string, unknown>): Fact[] {
  return Object.entries(facts)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => ({ name: localize(FACT_NAMES[key] ?? ['其他', key]), ...formatValue(key, value) }));
}

function formatValue(key: string, value: unknown): Omit<Fact, 'name'> {
  if (typeof value === 'boolean') return { value: localize(FACT_VALUES[value ? 'yes' : 'no']!), isCode: false };
  if (typeof value === 'number')
    return { value: key.endsWith('_fen') ? formatYuan(value) : String(value), isCode: false };
  if (Array.isArray(value)) {
    const parts = value.map((item) => formatValue(key, item));
    return { value: parts.map((part) => part.value).join('、'), isCode: parts.some((part) => part.isCode) };
  }
  if (typeof value !== 'string') return { value: JSON.stringify(value), isCode: true };
  const label = FACT_CODES[key]?.[value] ?? FACT_VALUES[value];
  if (label) return { value: localize(label), isCode: false };
  const isLong = /^[0-9a-f]{64}$/.test(value) || /[0-9a-f]{8}-[0-9a-f]{4}-/.test(value);
  if (isLong) return { value: value.slice(-8), isCode: true };
  return { value, isCode: /^[ -~]*$/.test(value) };
}
