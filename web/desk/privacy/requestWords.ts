// Words of requests about personal data.
import type { components } from '@shared/api/wire.d.ts';
import type { Message } from '@shared/i18n.ts';

type Schemas = components['schemas'];
export type RequestKind = Schemas['NewRequest']['kind'];
export type Outcome = Schemas['AnswerRequest']['outcome'];
export type Ground = NonNullable<Schemas['AnswerRequest']['ground']>;
export const REQUEST_KINDS: Record<RequestKind, Message> = {
  see: ['查阅', 'See'],
  copy: ['复制', 'Copy'],
  correct: ['更正、补充', 'Correct'],
  delete: ['删除', 'Delete'],
  restrict: ['限制或者拒绝处理', 'Restrict'],
  explain: ['解释说明处理规则', 'Explain the rules'],
};
export const REQUEST_STATES: Record<Schemas['OwnRequest']['state'], Message> = {
  open: ['待答复', 'Open'],
  granted: ['同意', 'Granted'],
  partly: ['部分同意', 'Granted in part'],
  refused: ['不予同意', 'Refused'],
};
export const GROUNDS: Record<Ground, Message> = {
  retention: ['保存期限未届满', 'The law keeps the file for longer'],
  duty: ['履行法定职责所必需', 'Needed for a legal duty'],
  identity: ['未能核实请求人身份', 'Identity was not proved'],
  others: ['涉及他人的个人信息', 'Data of other people'],
  unfounded: ['信息准确，或没有该信息', 'The data is right, or there is none'],
};
