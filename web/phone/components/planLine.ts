// One line of the plan: a home, and what is asked for there.
import type { Assignment, Household } from '../store/documents.ts';
import { t } from '../words.ts';

export interface Line {
  /** None at a home of this caseworker where nothing is asked for just now. */
  assignment: Assignment | null;
  household: Household;
  metres: number | null;
  lateDays: number;
  state: '' | 'inProgress' | 'waits';
}

export function dueWords(lateDays: number): string {
  if (lateDays > 0) return t('overdueDays', { n: lateDays });
  if (lateDays === 0) return t('dueToday');
  return lateDays === -1 ? t('dueTomorrow') : t('dueIn', { n: -lateDays });
}
