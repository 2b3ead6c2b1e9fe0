// Words of monthly returns of changes, for the list and the page.
import type { Message } from '@shared/i18n.ts';
import type { components } from '@shared/api/wire.d.ts';

export type ChangeReturnState = components['schemas']['ChangeReturnSummary']['state'];
export const RETURN_STATES: Record<ChangeReturnState, Message> = {
  draft: ['未上报', 'Not sent'],
  sent: ['已上报', 'Sent'],
  returned: ['已退回', 'Sent back'],
  closed: ['已办结', 'Closed'],
};
export const RETURN_LINES: Record<string, Message> = {
  granted: ['新增', 'Granted'],
  raised: ['调增', 'Raised'],
  cut: ['调减', 'Cut'],
  stopped: ['停发', 'Stopped'],
  taken_over: ['转入', 'Taken over'],
  report_new_job: ['报告：新就业', 'Reported: a new job'],
  report_job_lost: ['报告：失业', 'Reported: a job lost'],
  report_birth: ['报告：新增成员', 'Reported: a birth'],
  report_death: ['报告：成员去世', 'Reported: a death'],
  report_moved: ['报告：迁移', 'Reported: a move'],
  report_other: ['报告：其他', 'Reported: other'],
};
