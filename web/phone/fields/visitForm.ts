// The form of a visit, provided by the visit screen to its fields: the draft, its household, and how to save a change.
import { inject, type InjectionKey } from 'vue';
import type { Facts, AnswerError } from '@shared/checklist/evaluate.ts';
import type { Question } from '@shared/checklist/template.ts';
import { t } from '../messages.ts';
import type { Household, Visit } from '../store/documents.ts';
import type { Draft } from '../store/localDatabase.ts';
import { localize } from '@shared/i18n.ts';
import { formatYuan } from '@shared/format.ts';

/** What the fields read and write of a visit; a record beside the visits has the same. */
export type FormVisit = Pick<Visit, 'answers' | 'startFix' | 'investigatorIds' | 'familyPresent' | 'unchanged'>;

export interface VisitForm {
  visit(): FormVisit;
  household(): Household | null;
  facts(): Facts;
  draft(): Pick<Draft, 'id' | 'names'> & { amends: unknown };
  /** Last time's answer to a question; undefined where none came with the assignment. */
  lastAnswer(questionId: string): unknown;
  /** Errors at a pointer or below it; empty until errors are shown. */
  errorsAt(pointer: string): AnswerError[];
  change(): void;
  /** Who is to sign, where an answer says so; offered first. */
  signer?(): string;
}

export const VISIT_FORM: InjectionKey<VisitForm> = Symbol('form');

export function useVisitForm(): VisitForm {
  return inject(VISIT_FORM)!;
}

export function describeAnswerError(error: AnswerError, kind = ''): string {
  if (error.message) return localize(error.message);
  if (error.code === 'answer.out_of_range') {
    const [minimum, maximum] = [Number(error.params['minimum']), Number(error.params['maximum'])];
    const formatBound = (bound: number): string =>
      kind === 'money' || kind === 'income_table' ? formatYuan(bound) : String(bound);
    const bounds = [
      minimum > -Number.MAX_SAFE_INTEGER ? `≥ ${formatBound(minimum)}` : '',
      maximum < Number.MAX_SAFE_INTEGER ? `≤ ${formatBound(maximum)}` : '',
    ];
    return `${t('answer.out_of_range')} ${bounds.filter(Boolean).join(' ')}`;
  }
  return t(error.code as Parameters<typeof t>[0], error.params);
}

/** “需 1–4 张”, “至少 2 人”, “至多 20 张”. */
export function describeRange({ minimum, maximum, kind }: Question): string {
  const least = minimum ?? 0;
  const unit = kind === 'signature' ? t('unitPeople') : t('unitPhotos');
  if (maximum == null) return t('atLeast', { n: least, unit });
  if (least === 0) return t('atMost', { n: maximum, unit });
  return t('between', { a: least, b: maximum, unit });
}
