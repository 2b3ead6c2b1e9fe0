// A line of the plan: a household and its assignment.
import type { Assignment, Household } from '../store/documents.ts';
import { t } from '../messages.ts';

export interface PlanLine {
  /** Null for a household without an open assignment. */
  assignment: Assignment | null;
  household: Household;
  metersAway: number | null;
  lateDays: number;
  state: '' | 'inProgress' | 'pending';
}

export function describeDueDate(lateDays: number): string {
  if (lateDays > 0) return t('overdueDays', { n: lateDays });
  if (lateDays === 0) return t('dueToday');
  return lateDays === -1 ? t('dueTomorrow') : t('dueIn', { n: -lateDays });
}
