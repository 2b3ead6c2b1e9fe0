// Resident identity numbers as the server checks them (server/core/id_numbers.py), for where there is no network: 18
// characters with birth date, sex and an ISO 7064 check character. The area is not checked: codes are replaced over time.
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS = '10X98765432';
const LENGTH = 18;
const OLD_LENGTH = 15;
// Spaces, dashes, quotes and what can't be seen surround a number that was pasted.
const IGNORED = /[\s=\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Pd}⁃−─━ー'"`´‘’“”]/gu;
const LOOKS_LIKE_X = /[×✕✖ХхΧχ]/g;

export type IdProblem = 'empty' | 'characters' | 'length' | 'old_15_digits' | 'date' | 'future_date' | 'check_digit';

export interface IdCheck {
  /** Normalised, also where it is wrong. */
  number: string;
  problem: IdProblem | null;
  bornOn: string | null;
  sex: 'male' | 'female' | null;
}

export function normaliseIdNumber(entered: string): string {
  return entered.replace(LOOKS_LIKE_X, 'X').normalize('NFKC').replace(IGNORED, '').toUpperCase();
}

/** The first fault found. `today` is YYYY-MM-DD. */
export function checkIdNumber(entered: string, today: string): IdCheck {
  const number = normaliseIdNumber(entered);
  const problem = findProblem(number, today);
  if (problem) return { number, problem, bornOn: null, sex: null };
  return { number, problem, bornOn: readBirth(number), sex: Number(number[16]) % 2 ? 'male' : 'female' };
}

/** `1****************X`. */
export function maskIdNumber(number: string): string {
  return number.length < OLD_LENGTH
    ? '*'.repeat(number.length)
    : number.replace(/(?<=^.).+(?=.$)/, (middle) => '*'.repeat(middle.length));
}

function findProblem(number: string, today: string): IdProblem | null {
  if (!number) return 'empty';
  if (!/^\d*[\dX]$/.test(number)) return 'characters';
  if (number.length !== LENGTH) return /^\d{15}$/.test(number) ? 'old_15_digits' : 'length';
  const bornOn = readBirth(number);
  if (!isDay(bornOn)) return 'date';
  if (bornOn > today) return 'future_date';
  const total = WEIGHTS.reduce((sum, weight, place) => sum + weight * Number(number[place]), 0);
  return CHECKS[total % 11] === number[17] ? null : 'check_digit';
}

function readBirth(number: string): string {
  return `${number.slice(6, 10)}-${number.slice(10, 12)}-${number.slice(12, 14)}`;
}

function isDay(day: string): boolean {
  const at = new Date(`${day}T00:00:00Z`);
  return !day.startsWith('0000') && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(day);
}
