// Formats numbers, money and times. Money is in whole fen, times are shown in Asia/Shanghai.
import { localize, languageTag } from './i18n.ts';

const ZONE = 'Asia/Shanghai';
type DateLike = string | number | Date;

/** 36450 → “364.50”, without the unit. */
export function formatYuan(fen: number): string {
  return new Intl.NumberFormat(languageTag(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(fen / 100);
}

/** “364.5” → 36450; null when it is not an amount of whole fen. */
export function parseYuan(text: string): number | null {
  const match = /^\s*(-?)(\d{1,9})(?:\.(\d{1,2}))?\s*$/.exec(text);
  if (!match) return null;
  const fen = Number(match[2]) * 100 + Number((match[3] ?? '').padEnd(2, '0'));
  return match[1] ? -fen : fen;
}

/** Whole months from one `YYYY-MM` to another, both included; null when one is missing or they are in the wrong order. */
export function countMonths(from: string | null | undefined, to: string | null | undefined): number | null {
  const [first, last] = [from, to].map((month) => /^(\d{4})-(\d\d)$/.exec(month ?? ''));
  if (!first || !last) return null;
  const months = (Number(last[1]) - Number(first[1])) * 12 + Number(last[2]) - Number(first[2]) + 1;
  return months > 0 ? months : null;
}

/** A total over months as whole fen a month, rounded down as the server does. */
export function monthlyFen(totalFen: number, months: number): number {
  return Math.floor(totalFen / months);
}

/** “2026-12-01” → “2026/12”. */
export function formatMonth(day: string): string {
  return day.slice(0, 7).replace('-', '/');
}

/** The month after the one that a day is in: “2026-12-01” → “2027-01”. */
export function monthAfter(day: string): string {
  const [year, month] = day.split('-').map(Number) as [number, number];
  return month === 12 ? `${year + 1}-01` : `${year}-${String(month + 1).padStart(2, '0')}`;
}

/** The month before the one that a day is in: “2027-01-01” → “2026/12”. */
export function formatMonthBefore(day: string): string {
  const [year, month] = day.split('-').map(Number) as [number, number];
  return month === 1 ? `${year - 1}/12` : `${year}/${String(month - 1).padStart(2, '0')}`;
}

/** Year first in both languages, since 11/12 is ambiguous. */
export function formatDay(at: DateLike): string {
  return new Intl.DateTimeFormat('zh-CN', { timeZone: ZONE, year: 'numeric', month: '2-digit', day: '2-digit' }).format(
    new Date(at),
  );
}

export function formatMonthDay(at: DateLike): string {
  return format(at, { month: 'long', day: 'numeric' });
}

export function formatTime(at: DateLike): string {
  return format(at, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}

export function formatDayAndTime(at: DateLike): string {
  return `${formatDay(at)} ${formatTime(at)}`;
}

/** Today in China, as YYYY-MM-DD. */
export function today(now: Date = new Date()): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE }).format(now);
}

/** 850 → “850 m”/“850 米”, 12400 → “12.4 km”/“12.4 公里”, 9073900 → “9,074 公里”. */
export function formatDistance(meters: number): string {
  const inKm = meters >= 1000;
  const km = meters / 1000;
  const value = !inKm
    ? String(Math.round(meters))
    : km < 100
      ? km.toFixed(1)
      : new Intl.NumberFormat(languageTag(), { maximumFractionDigits: 0 }).format(km);
  return `${value} ${localize(inKm ? ['公里', 'km'] : ['米', 'm'])}`;
}

export function formatBytes(count: number): string {
  const kb = count / 1024;
  if (kb < 1024) return `${Math.ceil(kb)} KB`;
  return kb < 1024 * 1024 ? `${(kb / 1024).toFixed(1)} MB` : `${(kb / 1024 / 1024).toFixed(1)} GB`;
}

function format(at: DateLike, parts: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat(languageTag(), { timeZone: ZONE, ...parts }).format(new Date(at));
}
