// Messages of an application at the door, Chinese first; loaded with its screens.
import { defineMessages } from '@shared/i18n.ts';
import { findMemberProblem } from './store/applications.ts';
import type { Application } from './store/localDatabase.ts';

export const a = defineMessages({
  home: ['申请家庭', 'The home'],
  newHome: ['新登记的家庭', 'A home not registered yet'],
  fromRegister: ['从家庭名单选', 'Choose from homes'],
  change: ['另选', 'Choose another'],
  search: ['搜索姓名、拼音', 'Name or pinyin'],
  address: ['家庭住址', 'Address'],
  members: ['家庭成员（第一人为户主）', 'Members (the first is the head)'],
  member: ['成员 {n}', 'Member {n}'],
  name: ['姓名', 'Name'],
  relation: ['与户主关系', 'Relation to the head'],
  otherRelation: ['其他', 'Other'],
  relationWords: ['写明关系', 'Which relation'],
  idNumber: ['身份证号', 'ID number'],
  idHow: ['号码只加密保存在本机，上传后删除。', 'Kept sealed on this phone, and gone once it is sent.'],
  noId: ['没有身份证号时填写', 'Only without an ID number'],
  sex: ['性别', 'Sex'],
  male: ['男', 'Male'],
  female: ['女', 'Female'],
  bornOn: ['出生日期', 'Date of birth'],
  addMember: ['添加成员', 'Add a member'],
  removeMember: ['移除 {name}', 'Remove {name}'],
  applicant: ['申请人', 'Applicant'],
  programme: ['户口簿所载城乡类别', 'Urban or rural by the household register'],
  notStated: ['未写明', 'Not stated'],
  urban: ['城镇', 'Urban'],
  rural: ['农村', 'Rural'],
  agreesToMessages: ['同意用短信接收办理通知', 'Agrees to text messages about the case'],
  phone: ['手机号码', 'Mobile number'],
  needHome: ['选择家庭，或填写新家庭', 'Choose the home, or write down a new one'],
  needAddress: ['填写家庭住址', 'Give the address'],
  needPhone: ['手机号码不正确', 'The mobile number is not right'],
  problemOf: ['{name}：{why}', '{name}: {why}'],
  'problem.name': ['填写姓名', 'give the name'],
  'problem.relation': ['选择与户主关系', 'choose the relation'],
  'problem.sexOrBirth': ['填写身份证号，或性别和出生日期', 'give the ID number, or sex and date of birth'],
  'problem.twice': ['身份证号与另一成员相同', 'has the ID number of another member'],
  'problem.id.empty': ['填写身份证号', 'give the ID number'],
  'problem.id.characters': ['身份证号只能是数字，最后一位可以是 X', 'an ID number has digits only, and X as its last'],
  'problem.id.length': ['身份证号应为 18 位', 'an ID number has 18 characters'],
  'problem.id.old_15_digits': ['请填新的 18 位身份证号', 'write the ID number of 18 digits'],
  'problem.id.date': ['身份证号中的出生日期不对', 'the ID number holds no date of birth'],
  'problem.id.future_date': ['身份证号中的出生日期还没到', 'the ID number holds a date of birth to come'],
  'problem.id.check_digit': [
    '身份证号最后一位对不上，请核对',
    'the last character of the ID number does not fit: check it',
  ],
  papers: ['申请材料', 'Papers'],
  papersHow: [
    '已收到的打勾；没打勾的写进凭条，一次性告知。',
    'Tick what is here; the rest goes on the slip, all at once.',
  ],
  noPapers: ['本机还没有所需材料的说明，请联网同步', 'The list of papers is not here yet: sync once'],
  slip: ['申请登记凭条', 'Slip of the application'],
  number: ['申请编号', 'Application number'],
  appliedOn: ['申请日期', 'Applied'],
  qr: ['居民页面二维码', 'Code of the residents’ page'],
  slipHow: [
    '请申请人扫码或拍下本页。用微信登录后凭申请编号和身份证号查看进度、补交材料。登记不等于批准。',
    'For the applicant to scan or photograph. By WeChat, with the number and the ID number, they follow the case and send papers. To be written down is not to be granted.',
  ],
  lacking: ['还需补交（一次性告知）', 'Still to bring, all of it'],
  nothingLacking: ['材料已齐', 'All papers are here'],
  askAt: ['服务电话 {number}', 'Hotline {number}'],
  print: ['打印凭条', 'Print the slip'],
  waitApplications: ['上门申请', 'Applications at the door'],
  'state.waiting': ['待上传', 'Waiting to be sent'],
  'state.refused': ['请改正', 'Correct it'],
  'state.opened': ['已登记', 'Registered'],
  'state.held': ['乡镇处理中', 'With the town'],
  'state.dismissed': ['未予登记', 'Not registered'],
  heldHow: [
    '申请已送达乡镇，由乡镇核实后办理，不会丢失。',
    'The application is with the town, which looks into it; it is not lost.',
  ],
  townSaid: ['乡镇意见：{reason}', 'The town: {reason}'],
  correct: ['改正后重新提交', 'Correct it and send it again'],
  again: ['重新提交', 'Send again'],
});

const MOBILE = /^1\d{10}$/;

/** What a draft still needs, as sentences; nothing of an application that was sent. */
export function listMissing(application: Application | null): string[] {
  const form = application?.form;
  if (!form || (application.state !== 'draft' && application.state !== 'refused') || form.householdId) return [];
  return [
    form.address.trim() ? '' : a('needAddress'),
    form.agreesToMessages && !MOBILE.test(form.phone.replace(/[\s-]/g, '')) ? a('needPhone') : '',
    ...form.members.map((_, index) => describeMemberProblem(application, index)),
  ].filter(Boolean);
}

export function describeMemberProblem({ form }: Application, index: number): string {
  const member = form!.members[index]!;
  const problem = findMemberProblem(member, form!.members);
  if (!problem) return '';
  return a('problemOf', { name: member.name.trim() || a('member', { n: index + 1 }), why: a(`problem.${problem}`) });
}
