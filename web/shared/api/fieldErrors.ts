// Describes the field errors of a problem response: the server gives a JSON pointer (RFC 6901), a code, and often the
// validator's own message.
import { defineMessages, type Message } from '../i18n.ts';

export interface FieldError {
  pointer: string;
  code: string;
  detail: string;
}

const t = defineMessages({
  missing: ['没有填写', 'is missing'],
  unknownField: ['服务器不认识这一项', 'is not known to the server'],
  tooLong: ['最多 {n} 个字', 'at most {n:character|characters}'],
  tooShort: ['至少 {n} 个字', 'at least {n:character|characters}'],
  tooMany: ['最多 {n} 项', 'at most {n}'],
  tooFew: ['至少 {n} 项', 'at least {n}'],
  atMost: ['不能大于 {n}', 'no more than {n}'],
  atLeast: ['不能小于 {n}', 'no less than {n}'],
  form: ['格式不对', 'is not written as it should be'],
  choice: ['不在可选的范围内', 'is none of the choices'],
  date: ['不是正确的日期', 'is no date'],
  number: ['要填整数', 'must be a whole number'],
  invalid: ['填写不正确', 'is not right'],
  place: ['第 {n} 项', 'no. {n}'],
  colon: ['{field}：{why}', '{field}: {why}'],
});

const CODES: Record<string, Message> = {
  'area.too_wide': ['地区太大，请选到该角色负责的乡镇或村', 'is too wide for this role: choose its town or village'],
  'area.unknown': ['没有这个地区', 'no such area'],
  'household.exists': ['这户已有申请', 'this household has an application already'],
  'group.unknown': ['村里没有这个村民组', 'is no group of the village'],
  'id.taken': ['已被占用', 'is taken'],
  'id.empty': ['没有填写', 'is missing'],
  'id.characters': ['只能是数字，最后一位可以是 X', 'has digits only, and X as its last'],
  'id.length': ['应为 18 位', 'must have 18 characters'],
  'id.old_15_digits': ['请填新的 18 位号码', 'is an old one of 15 digits: write the 18'],
  'id.date': ['其中的出生日期不对', 'holds no date of birth'],
  'id.future_date': ['其中的出生日期还没到', 'holds a date of birth to come'],
  'id.check_digit': ['最后一位对不上，请核对', 'its last character does not fit: check it'],
  'member.known': ['已登记在别的家庭', 'is registered with another household'],
  'member.incomplete': ['要有身份证号，或性别和出生日期', 'needs an ID number, or sex and date of birth'],
  'member.sex_differs': ['与身份证号不符', 'differs from the ID number'],
  'member.birth_impossible': ['还没到，或早于 125 年前', 'is to come, or more than 125 years ago'],
  'member.birth_differs': ['与身份证号不符', 'differs from the ID number'],
  'month.before_payment': ['早于开始发放的月份', 'is before the first month of payment'],
  'seat.unknown': ['不是这次评议的成员', 'has no seat at this hearing'],
  'staff.not_here': ['不是这里的工作人员', 'does not work here'],
  'ground.unknown': ['不是本地的停发原因', 'is no ground of this area'],
  'step.unknown': ['没有这一步', 'no such step'],
};

const FIELDS: Record<string, Message> = {
  account: ['账号', 'account'],
  address: ['地址', 'address'],
  amountFen: ['金额', 'amount'],
  applicationNumber: ['申请编号', 'application number'],
  areaCode: ['地区', 'area'],
  attended: ['到会人员', 'who attended'],
  bornOn: ['出生日期', 'date of birth'],
  card: ['银行卡号', 'bank card'],
  code: ['代码', 'code'],
  contact: ['联系方式', 'how to reach you'],
  dueOn: ['期限', 'due date'],
  endedAt: ['离户时间', 'end'],
  endFix: ['离户定位', 'fix on leaving'],
  familyPresent: ['在场家庭成员', 'family members present'],
  fromMonth: ['起始月份', 'first month'],
  happenedOn: ['发生日期', 'date'],
  householdId: ['家庭', 'household'],
  pin: ['查询码', 'PIN'],
  idNumber: ['身份证号', 'ID number'],
  investigatorIds: ['调查人', 'investigators'],
  kind: ['类别', 'kind'],
  login: ['账号', 'account'],
  members: ['家庭成员', 'members'],
  modeReason: ['不能入户的原因', 'reason for no visit'],
  name: ['姓名', 'name'],
  note: ['说明', 'note'],
  number: ['编号', 'number'],
  password: ['密码', 'password'],
  phone: ['电话', 'phone'],
  photos: ['照片', 'photos'],
  place: ['地点', 'place'],
  purpose: ['用途', 'purpose'],
  reason: ['理由', 'reason'],
  sex: ['性别', 'sex'],
  staffId: ['工作人员', 'person'],
  startedAt: ['到户时间', 'beginning'],
  startFix: ['到户定位', 'fix on arrival'],
  text: ['内容', 'text'],
  title: ['标题', 'title'],
  value: ['值', 'value'],
};

const translateCode = defineMessages(CODES);
const translateField = defineMessages(FIELDS);

/** “身份证号：最后一位对不上，请核对”. */
export function describeFieldError(error: FieldError): string {
  const why =
    error.code in CODES ? translateCode(error.code) : (translateValidation(error.detail) ?? showSentence(error.detail));
  const field = describeField(error);
  return field ? t('colon', { field, why }) : why;
}

/** The last three steps of the pointer as labels, with positions in lists: “家庭成员 第 2 项 身份证号”. */
function describeField({ pointer, detail }: FieldError): string {
  const missing = /missing required field `(\w+)`|unknown field `(\w+)`/.exec(detail);
  const steps = [...pointer.split('/'), missing?.[1] ?? missing?.[2] ?? ''].filter(
    (step) => step && step !== 'data' && step !== '$',
  );
  return steps
    .map((step) =>
      /^\d+$/.test(step) ? t('place', { n: Number(step) + 1 }) : step in FIELDS ? translateField(step) : `“${step}”`,
    )
    .slice(-3)
    .join(' ');
}

/** Translate a validation message of msgspec; null when it is none. */
function translateValidation(detail: string): string | null {
  const length = /Expected `(str|array|object)` of length (<=|>=) (\d+)/.exec(detail);
  if (length) {
    const [, type, sign, n] = length;
    if (type === 'str') return t(sign === '<=' ? 'tooLong' : 'tooShort', { n: n! });
    return t(sign === '<=' ? 'tooMany' : 'tooFew', { n: n! });
  }
  const bound = /Expected `(?:int|float)` (<=|>=) (-?[\d.]+)/.exec(detail);
  if (bound) return t(bound[1] === '<=' ? 'atMost' : 'atLeast', { n: bound[2]! });
  if (/missing required field|got `null`/.test(detail)) return t('missing');
  if (/unknown field/.test(detail)) return t('unknownField');
  if (/matching regex|Invalid UUID|Invalid base64/.test(detail)) return t('form');
  if (/Invalid enum value/.test(detail)) return t('choice');
  if (/`(date|datetime)`|RFC ?3339|ISO ?8601/.test(detail)) return t('date');
  return /Expected `int`/.test(detail) ? t('number') : null;
}

/** Pass on a detail that is a sentence for people; replace a bare name or number by a general message. */
function showSentence(detail: string): string {
  return /\p{Script=Han}|\w+ \w+ \w+/u.test(detail) ? detail : t('invalid');
}
