// Application numbers drawn where there is no network, as the server reads them (server/core/application_numbers.py): county, year,
// eight random characters and a check character, in the alphabet of GB 32100-2015.
const ALPHABET = '0123456789ABCDEFGHJKLMNPQRTUWXY';
const RANDOM_CHARACTERS = 8;

export function drawApplicationNumber(county: string, year: number): string {
  const head = `${county}${String(year).padStart(4, '0')}`;
  const serial = Array.from({ length: RANDOM_CHARACTERS }, drawCharacter).join('');
  return `SQ${head}-${serial}${computeCheckCharacter(head + serial)}`;
}

/** Each character's value times 3^place, modulo 31. */
export function computeCheckCharacter(characters: string): string {
  let power = 1;
  let total = 0;
  for (const character of characters) {
    total += ALPHABET.indexOf(character) * power;
    power = (power * 3) % 31;
  }
  return ALPHABET[(31 - (total % 31)) % 31]!;
}

/** Bytes beyond the last whole multiple of 31 are drawn again, so that every character is as likely. */
function drawCharacter(): string {
  const byte = new Uint8Array(1);
  do crypto.getRandomValues(byte);
  while (byte[0]! >= 248);
  return ALPHABET[byte[0]! % 31]!;
}
