// Answers as text: of a submitted visit that is read back, and of the last visit beside the questions of this one.
import { formatYuan } from '@shared/format.ts';
import { inParentheses, joinList, localize } from '@shared/i18n.ts';
import { t } from '../messages.ts';
import type { IncomeRow } from '@shared/checklist/evaluate.ts';
import type { Column } from '@shared/checklist/template.ts';

/** The answer of one cell; empty for kinds that are shown otherwise: tables, photos, signatures. */
export function describeCell(cell: Column, answer: unknown): string {
  if (answer === null || answer === undefined) return '';
  if (cell.kind === 'yes_no') return answer ? t('yes') : t('no');
  if (cell.kind === 'money') return t('yuan', { amount: formatYuan(answer as number) });
  if (cell.kind === 'choice') return describeChoice(cell, answer);
  if (cell.kind === 'multi_choice') return joinList((answer as unknown[]).map((code) => describeChoice(cell, code)));
  if (cell.kind === 'geopoint') {
    const { latitude, longitude } = answer as { latitude: number; longitude: number };
    return `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`;
  }
  return ['text', 'integer', 'date'].includes(cell.kind) ? String(answer) : '';
}

/** Declared and found amount of a kind of income, and the months that they cover. */
export function describeIncome({ declaredFen, foundFen, periodFrom, periodTo }: IncomeRow): string {
  const amounts = [
    typeof declaredFen === 'number' ? t('declaredIs', { n: formatYuan(declaredFen) }) : '',
    typeof foundFen === 'number' ? t('foundIs', { n: formatYuan(foundFen) }) : '',
  ].filter(Boolean);
  return joinList(amounts) + (periodFrom && periodTo ? inParentheses(t('period', { periodFrom, periodTo })) : '');
}

/** Whether a checklist may have this answer: one of an earlier version may name a choice that is gone. */
export function isChoosable(cell: Column, answer: unknown): boolean {
  const codes = cell.choices?.map((choice) => choice.code) ?? [];
  if (cell.kind === 'choice') return codes.includes(answer as string);
  if (cell.kind === 'multi_choice') return (answer as string[]).every((code) => codes.includes(code));
  return true;
}

function describeChoice(cell: Column, code: unknown): string {
  const choice = cell.choices?.find((choice) => choice.code === code);
  return choice ? localize(choice.label) : t('unknownCode');
}
