// Labels of the imports' codes.
import type { components } from '@shared/api/wire.d.ts';
import { localize, type Message } from '@shared/i18n.ts';

export type Outcome = components['schemas']['ImportLineView']['outcome'];

export const IMPORT_KINDS: Record<string, Message> = {
  areas: ['村（社区）', 'Villages'],
  groups: ['村民组', 'Groups of villages'],
  staff: ['人员', 'Staff'],
  register: ['低保台账', 'Register of recipients'],
  assignments: ['走访任务', 'Visits to order'],
  calendar: ['节假日安排', 'Holidays of a year'],
  aid: ['其他部门发放的救助', 'Aid of other offices'],
};
export const IMPORT_STATES: Record<string, Message> = {
  previewed: ['待确认', 'To be confirmed'],
  confirmed: ['正在导入', 'Being applied'],
  applied: ['已导入', 'Applied'],
  undone: ['已撤销', 'Undone'],
  replaced: ['已替换', 'Replaced'],
};
const OUTCOME_LABELS = new Map<Outcome, Message>([
  ['refused', ['无法导入', 'Refused']],
  ['doubtful', ['存疑', 'Doubtful']],
  ['new', ['新增', 'New']],
  ['changed', ['变更', 'Changed']],
  ['unchanged', ['不变', 'Unchanged']],
]);
/** In the order in which they are looked at. */
export const OUTCOMES = [...OUTCOME_LABELS.keys()];

export function getOutcomeLabel(outcome: Outcome): string {
  return localize(OUTCOME_LABELS.get(outcome)!);
}
