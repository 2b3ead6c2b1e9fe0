// Words of linked aid that several screens show, and its quantities, which are thousandths of a unit.
import { formatYuan } from '@shared/format.ts';
import { localize, type Message } from '@shared/i18n.ts';
import type { components } from '@shared/api/wire.d.ts';

export type AidLine = components['schemas']['AidLineView'];
export type AidBatch = components['schemas']['AidBatchDetail'];
export type BatchState = AidBatch['state'];
export type LineState = AidLine['state'];
export type ActName = components['schemas']['ActOnAidBatch']['act'];

export const BATCH_STATES: Record<BatchState, Message> = {
  drafted: ['草稿', 'Draft'],
  prepared: ['已提交，待审核', 'Prepared, to be released'],
  released: ['已核准，发放中', 'Released, being handed out'],
  closed: ['已完成', 'Closed'],
  cancelled: ['已作废', 'Cancelled'],
};
export const LINE_STATES: Record<LineState, Message> = {
  planned: ['待发放', 'To be handed out'],
  left_out: ['已剔除', 'Left out'],
  handed_out: ['已发放', 'Handed out'],
  not_handed_out: ['未发放', 'Not handed out'],
  taken_back: ['已收回', 'Taken back'],
  cancelled: ['已作废', 'Cancelled'],
};
export const ACTS: Record<ActName, Message> = {
  prepare: ['提交', 'Prepare'],
  release: ['核准发放', 'Release'],
  send_back: ['退回', 'Send back'],
  close: ['完成', 'Close'],
  cancel: ['作废', 'Cancel'],
};
export const RECIPIENTS: Record<string, Message> = {
  head: ['户主', 'Head'],
  member: ['家庭成员', 'Member'],
  proxy: ['代领', 'Proxy'],
};
export const STANCES: Record<string, Message> = {
  received: ['家庭说收到', 'Household: received'],
  not_received: ['家庭说没收到', 'Household: not received'],
};

/** 2500 → “2.5”, without the unit. */
export function formatMilli(milli: number): string {
  const whole = Math.floor(milli / 1000);
  const part = String(milli % 1000)
    .padStart(3, '0')
    .replace(/0+$/, '');
  return part ? `${whole}.${part}` : String(whole);
}

/** “2.5” → 2500; null when it is no quantity of at most three decimals. */
export function parseMilli(text: string): number | null {
  const match = /^\s*(\d{1,9})(?:\.(\d{1,3}))?\s*$/.exec(text);
  return match ? Number(match[1]) * 1000 + Number((match[2] ?? '').padEnd(3, '0')) : null;
}

interface Given {
  form: string;
  unitZh: string;
  unitEn: string;
}
/** “3 吨（¥2,400.00）” or “300.00 元”. */
export function describeGiven(of: Given, milli: number | null, fen: number | null): string {
  const yuan = fen === null ? '' : localize([`${formatYuan(fen)} 元`, `${formatYuan(fen)} yuan`]);
  if (of.form === 'money') return yuan || '–';
  if (milli === null) return '–';
  const quantity = `${formatMilli(milli)} ${localize([of.unitZh, of.unitEn])}`;
  return yuan && fen ? localize([`${quantity}（${yuan}）`, `${quantity} (${yuan})`]) : quantity;
}
