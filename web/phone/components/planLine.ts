// A line of the plan: a household and its assignment.
import { today } from '@shared/format.ts';
import type { Assignment, Household } from '../store/documents.ts';
import { t } from '../messages.ts';

export const SOON_DAYS = 7;
const DAY_MS = 86_400_000;

export interface PlanLine {
  /** Null for a household without an open assignment. */
  assignment: Assignment | null;
  household: Household;
  metersAway: number | null;
  lateDays: number;
  state: '' | 'inProgress' | 'pending';
}

/** Negative while it is not due yet. */
export function countLateDays({ dueOn }: Assignment): number {
  return Math.round((Date.parse(today()) - Date.parse(dueOn)) / DAY_MS);
}

export function describeDueDate(lateDays: number): string {
  if (lateDays > 0) return t('overdueDays', { n: lateDays });
  if (lateDays === 0) return t('dueToday');
  return lateDays === -1 ? t('dueTomorrow') : t('dueIn', { n: -lateDays });
}
