// What every field of a visit's form needs: the visit being written, whose it is, and a way to keep a change.
import { inject, type InjectionKey } from 'vue';
import type { Facts, Lack } from '../checklist/read.ts';
import { t } from '../words.ts';
import type { Household, Visit } from '../store/documents.ts';
import type { Draft } from '../store/local.ts';
import { localize } from '@shared/i18n.ts';
import { formatYuan } from '@shared/format.ts';

export interface Form {
  visit(): Visit;
  household(): Household | null;
  facts(): Facts;
  draft(): Draft;
  /** What is wrong at a pointer or below it; nothing while the person is still writing. */
  faultsAt(pointer: string): Lack[];
  change(): void;
}

export const FORM: InjectionKey<Form> = Symbol('form');

export function useForm(): Form {
  return inject(FORM)!;
}

export function faultWords(lack: Lack, kind = ''): string {
  if (lack.words) return localize(lack.words);
  if (lack.code === 'answer.out_of_range') {
    const [least, most] = [Number(lack.params['minimum']), Number(lack.params['maximum'])];
    const say = (bound: number): string =>
      kind === 'money' || kind === 'income_table' ? formatYuan(bound) : String(bound);
    const bounds = [
      least > -Number.MAX_SAFE_INTEGER ? `≥ ${say(least)}` : '',
      most < Number.MAX_SAFE_INTEGER ? `≤ ${say(most)}` : '',
    ];
    return `${t('answer.out_of_range')} ${bounds.filter(Boolean).join(' ')}`;
  }
  return t(lack.code as Parameters<typeof t>[0], lack.params);
}

/** “1–4”, “至少 2”, “至多 20”. */
export function rangeWords(minimum: number | null | undefined, maximum: number | null | undefined): string {
  const least = minimum ?? 0;
  if (maximum == null) return t('atLeast', { n: least });
  if (least === 0) return t('atMost', { n: maximum });
  return t('between', { a: least, b: maximum });
}
