// Words of rosters that several screens show.
import type { Message } from '@shared/i18n.ts';
import type { components } from '@shared/api/wire.d.ts';

export type RosterState = components['schemas']['RosterSummary']['state'];
export type LineState = components['schemas']['RosterLineView']['state'];
export type ActName = components['schemas']['ActOnRoster']['act'];

export const ROSTER_STATES: Record<RosterState, Message> = {
  drafting: ['造册中', 'Being drafted'],
  drafted: ['已造册', 'Drafted'],
  prepared: ['已提交，待审核', 'Prepared, to be checked'],
  frozen: ['已审核，待发送', 'Checked, to be sent'],
  sent: ['已发送，待回盘', 'Sent, waiting for the bank'],
  settled: ['已完成', 'Settled'],
  cancelled: ['已作废', 'Cancelled'],
};
export const LINE_STATES: Record<LineState, Message> = {
  drafted: ['待审核', 'To be checked'],
  left_out: ['已剔除', 'Left out'],
  frozen: ['已审核', 'Checked'],
  sent: ['已申请', 'Sent'],
  paid: ['已支付', 'Paid'],
  returned: ['已退回', 'Returned'],
  cancelled: ['已作废', 'Cancelled'],
};
export const ACTS: Record<ActName, Message> = {
  prepare: ['提交审核', 'Prepare'],
  check: ['审核通过', 'Check'],
  send: ['发送', 'Send'],
  send_back: ['退回造册', 'Send back'],
  draft_again: ['重新造册', 'Draft again'],
  cancel: ['作废', 'Cancel'],
};
export const PART_KINDS: Record<string, Message> = {
  due: ['当月', 'This month'],
  arrears: ['补发', 'Arrears'],
  recovery: ['扣回', 'Recovery'],
};
export const CAUSES: Record<string, Message> = {
  decided_later: ['当月发放后作出的决定', 'decided after the month was paid'],
  left_out: ['当月被剔除', 'left out in its month'],
  not_on_roster: ['当月未列入名册', 'not on the roster of its month'],
  overpaid: ['多发', 'overpaid'],
};
/** Why a row of the bank's file moved nothing. */
export const REFUSED_ROWS: Record<string, Message> = {
  unknown_reference: ['名册中没有此业务编号', 'no such line'],
  amount_differs: ['金额不符', 'another amount'],
  unknown_result: ['结果无法识别', 'a result that is not known'],
  contradicts: ['与先前的结果矛盾', 'contradicts an earlier answer'],
  not_sent: ['此户未发送', 'the line was not sent'],
};
