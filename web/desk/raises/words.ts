// Names of the states of a raise, of what keeps a home out of it, and of what became of a home.
import type { Message } from '@shared/i18n.ts';

export const RAISE_STATES: Record<string, Message> = {
  previewing: ['正在测算', 'Being calculated'],
  ready: ['待另一人确认', 'Waits for a second person'],
  declined: ['未采纳', 'Declined'],
  applying: ['正在调整', 'Being applied'],
  applied: ['已调整', 'Applied'],
  undoing: ['正在撤销', 'Being undone'],
  undone: ['已撤销', 'Undone'],
};
export const RAISE_SITUATIONS: Record<string, Message> = {
  programme_missing: ['城乡类别未确认', 'Urban or rural not confirmed'],
  members_missing: ['缺少标准或成员，无法测算', 'No standard or no members'],
  not_paid_yet: ['尚未开始发放', 'Not paid yet'],
  stop_to_come: ['已决定停发', 'A stop is decided'],
  decided_later: ['之后月份已有决定', 'A later month is decided'],
  proposal_open: ['有待决定的拟办意见', 'A proposal waits'],
  found_differs: ['走访或核对与登记不符', 'Visit or cross-check differs'],
  differs_before: ['现发金额与原标准测算不符', 'Paid otherwise than the old standard gives'],
  not_eligible: ['按新标准不符合条件', 'Not eligible'],
  lower: ['按新标准反而减少', 'Less by the new standard'],
  changed_since: ['预览后情况有变', 'Changed since the preview'],
  decided_since: ['提标后已另有决定', 'Decided anew since'],
  granted_since: ['预览后新增，金额未按新标准', 'Granted since the preview, by another standard'],
};
export const RAISE_OUTCOMES: Record<string, Message> = {
  applied: ['已调整', 'Changed'],
  left: ['未调整', 'Left out'],
  undone: ['已撤销', 'Undone'],
  kept: ['保留后来的决定', 'The later decision stands'],
};
