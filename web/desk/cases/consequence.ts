// What a step that decides about money will do, in one sentence beside its button.
import type { components } from '@shared/api/wire.d.ts';
import { formatYuan } from '@shared/format.ts';
import { defineMessages } from '@shared/i18n.ts';

type Case = components['schemas']['CaseDetail'];
type Calculation = components['schemas']['CalculationLine'];

const t = defineMessages({
  granted: [
    '自 {month} 起，每月向 {name} 家发放 {amount} 元，保障 {n} 人。',
    'From {month} on, the household of {name} is paid {amount} yuan a month, for {n:person|people}.',
  ],
  proposed: [
    '拟自 {month} 起，每月向 {name} 家发放 {amount} 元，保障 {n} 人；由县级审核确认。',
    'It is proposed that from {month} on the household of {name} is paid {amount} yuan a month, for {n:person|people}; the county decides.',
  ],
  proposedRefusal: [
    '拟对 {name} 家不予保障；由县级审核确认。',
    'It is proposed to refuse the household of {name}; the county decides.',
  ],
  refused: [
    '{name} 家不予保障，不发放。申请人会收到决定书，可以申请复议。',
    'The household of {name} is refused and paid nothing. The applicant gets a decision and can appeal.',
  ],
  changed: [
    '自 {month} 起，{name} 家的月保障金由 {before} 元改为 {after} 元。',
    'From {month} on, the household of {name} is paid {after} yuan a month instead of {before}.',
  ],
  stopped: [
    '自 {month} 起，{name} 家停发，现为每月 {before} 元。',
    'From {month} on, the household of {name} is no longer paid its {before} yuan a month.',
  ],
  cameBack: [
    '自 {month} 起，{name} 家恢复发放，每月 {amount} 元。',
    'From {month} on, the household of {name} is paid again, {amount} yuan a month.',
  ],
  later: ['下次发放', 'the next payment'],
  notEligible: ['最近一次测算的结论是不符合条件。', 'By the newest calculation the household is not eligible.'],
  nothing: ['没有可以依据的测算。', 'There is no calculation to go by.'],
});

/** Return the sentence; empty for steps that decide nothing. `newest` is the calculation that a decision goes by. */
export function describeConsequence(step: string, item: Case, newest: Calculation | undefined): string {
  const name = item.headName;
  const before = formatYuan(item.amountFen ?? 0);
  const proposed = formatYuan(item.proposal?.amountFen ?? 0);
  const month = (item.proposal?.fromMonth ?? newest?.month)?.slice(0, 7) ?? t('later');
  switch (step) {
    case 'opinion_grant':
    case 'confirmed':
      return describeGrant(step === 'confirmed' ? 'granted' : 'proposed', name, newest);
    case 'opinion_refuse':
      return t('proposedRefusal', { name });
    case 'refused':
      return t('refused', { name });
    case 'amount_changed':
      return t('changed', { month, name, before, after: proposed });
    case 'stopped':
      return t('stopped', { month, name, before });
    case 'came_back':
      return t('cameBack', { month, name, amount: proposed });
    default:
      return '';
  }
}

function describeGrant(sentence: 'granted' | 'proposed', name: string, newest: Calculation | undefined): string {
  if (!newest) return t('nothing');
  if (!newest.eligible) return t('notEligible');
  const amount = formatYuan(newest.amountFen);
  return t(sentence, { month: newest.month.slice(0, 7), name, amount, n: newest.covered.length });
}
