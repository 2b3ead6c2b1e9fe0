// Words for what became of a message: outcomes, ways, states, and the reasons that WeChat gave.
import { inParentheses, localize, type Message } from '@shared/i18n.ts';

type Labels = Record<string, Message>;

/** The kinds of notice that households get. */
export const HOUSEHOLD_KINDS = [
  'papers',
  'accepted',
  'posted',
  'decided',
  'changed',
  'answered',
  'proof_due',
  'grace_ending',
  'payday',
  'deadline_moved',
  'register_changed',
  'bound',
];

export const OUTCOMES: Labels = {
  reached: ['已送达', 'Reached'],
  waiting: ['发送中', 'Under way'],
  unsure: ['结果不明', 'Perhaps sent'],
  not_reached: ['未送达', 'Not reached'],
};

export const REASONS: Labels = {
  nobody_bound: ['没有人绑定', 'Nobody is bound'],
  none: ['没有微信或模板', 'No WeChat or template'],
  no_consent: ['没有订阅', 'No consent'],
  refused: ['拒收或未关注', 'Refused or not following'],
  parked: ['发送失败', 'Failed'],
  text_no_phone: ['没有登记手机', 'No phone'],
  text_over_budget: ['短信预算已用完', 'Budget for texts used up'],
  text_not_set_up: ['未开通短信', 'No text messages here'],
  text_failed: ['短信发送失败', 'The text failed'],
  text_waiting: ['等待发短信', 'A text is to come'],
};

export const WAYS: Labels = {
  miniprogram: ['小程序订阅消息', 'Mini-program, subscribed'],
  service_subscribe: ['服务号订阅通知', 'Service account, subscribed'],
  service_template: ['服务号模板消息', 'Service account, followers'],
  sms: ['短信', 'Text message'],
};

export const STATES: Labels = {
  sending: ['发送中', 'Sending'],
  waiting: ['待重发', 'Waits'],
  sent: ['已发出', 'Sent'],
  delivered: ['已送达', 'Delivered'],
  refused: ['被拒收', 'Refused'],
  failed: ['失败', 'Failed'],
  unsure: ['结果不明', 'Perhaps sent'],
};

export const MESSAGES: Labels = {
  none: ['未发微信', 'No WeChat message'],
  waiting: ['微信待发', 'Waits'],
  sending: ['发送中', 'Sending'],
  sent: ['微信已发', 'Sent by WeChat'],
  no_consent: ['没有订阅', 'No consent'],
  refused: ['被拒收', 'Refused'],
  parked: ['发送失败', 'Failed'],
  unsure: ['结果不明', 'Perhaps sent'],
};

export const TEXTS: Labels = {
  waiting: ['待发', 'To come'],
  sending: ['发送中', 'Sending'],
  unneeded: ['不需要', 'Not needed'],
  sent: ['已发出', 'Sent'],
  failed: ['失败', 'Failed'],
  unsure: ['结果不明', 'Perhaps sent'],
  no_phone: ['没有登记手机', 'No phone'],
  over_budget: ['预算已用完', 'Over budget'],
  not_set_up: ['未开通', 'Not set up'],
};

const WHYS: Labels = {
  stopped: ['本人已关闭', 'ended by the reader'],
  refused_message: ['用户拒收或次数用完', 'refused or used up'],
  not_follower: ['未关注服务号', 'does not follow'],
  day_quota: ['今日次数用完，明天再发', 'the day’s calls are used up'],
  too_many: ['过于频繁', 'too many calls'],
  bad_message: ['模板或字段有误', 'template or field'],
  bad_recipient: ['不是本应用的用户', 'account of another app'],
  invalid_credential: ['密钥有误，请联系管理员', 'secret is wrong'],
  busy: ['微信繁忙', 'WeChat is busy'],
  unavailable: ['连接不上微信', 'WeChat can’t be reached'],
  interrupted: ['发送中断', 'interrupted'],
  user_block: ['用户已屏蔽', 'blocked by the user'],
  system_failed: ['微信发送失败', 'failed at WeChat'],
  receipt: ['回执：未收到', 'receipt: not taken'],
};

/** Return a reason in brackets, with WeChat's code where there is one; an unknown one as it is. */
export function describeWhy(why: string | null): string {
  if (!why) return '';
  const [kind = '', ...rest] = why.split(' ');
  const text = [WHYS[kind] ? localize(WHYS[kind]) : kind, ...rest].join(' ');
  return inParentheses(text);
}
