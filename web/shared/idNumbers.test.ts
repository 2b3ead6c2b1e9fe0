import { expect, test } from 'vitest';
import { computeCheckCharacter, drawApplicationNumber } from './applicationNumbers.ts';
import { checkIdNumber, maskIdNumber } from './idNumbers.ts';

const TODAY = '2026-12-01';

test.each([
  '11010519491231002X',
  '440524188001010014',
  '34052419800101001X',
  '１１０１０５ 1949-1231 002×',
  '11010519491231002x',
])('the phone takes %s as the server does', (entered) => expect(checkIdNumber(entered, TODAY).problem).toBeNull());

test.each([
  ['', 'empty'],
  ['11010519491231A02X', 'characters'],
  ['1101051949', 'length'],
  ['110105491231002', 'old_15_digits'],
  ['110105194902310025', 'date'],
  ['110105202712310025', 'future_date'],
  ['110105194912310021', 'check_digit'],
])('the phone refuses %s for its %s', (entered, problem) =>
  expect(checkIdNumber(entered, TODAY).problem).toBe(problem),
);

test('birth date and sex are read from the number, and a mask shows its ends alone', () => {
  expect(checkIdNumber('11010519491231002X', TODAY)).toMatchObject({ bornOn: '1949-12-31', sex: 'female' });
  expect(maskIdNumber('11010519491231002X')).toBe('1****************X');
});

test('a number drawn offline has the form and the check character that the server reads', () => {
  expect(computeCheckCharacter('33990120267K2M9D4Q')).toBe('U');
  const numbers = Array.from({ length: 500 }, () => drawApplicationNumber('339901', 2026));
  expect(new Set(numbers).size).toBe(500);
  for (const number of numbers) {
    expect(number).toMatch(/^SQ3399012026-[0-9A-HJ-NP-RTUWXY]{9}$/);
    expect(number.at(-1)).toBe(computeCheckCharacter(`3399012026${number.slice(13, 21)}`));
  }
});
