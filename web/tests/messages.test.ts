// Every word of the interface stands in a pair, Chinese and English: what is written straight into a template, or only
// once, would be shown to readers of the other language too.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const WEB = join(import.meta.dirname, '..');
const FILES = globSync('{desk,phone,resident,shared}/**/*.{vue,ts}', { cwd: WEB }).filter(
  (one) => !/test\.ts$|^shared\/wx/.test(one),
);
const HAN = /\p{Script=Han}/u;
const QUOTED = `('[^']*'|"[^"]*"|\`[^\`]*\`)`;
// The second may be a code of the server's that has no word here: told as it is rather than not at all.
const PAIR = new RegExp(
  `\\[\\s*${QUOTED},\\s*(${QUOTED}|[^\\]]+?),?\\s*\\]|zh: ${QUOTED},\\s*en: ${QUOTED}|replace\\(/[^/]*/`,
  'g',
);

test('every Chinese word has its English one beside it', () => {
  expect(FILES.length).toBeGreaterThan(100);
  const alone = FILES.flatMap((file) =>
    readFileSync(join(WEB, file), 'utf8')
      .replace(/<!--[^]*?-->|\/\*[^]*?\*\//g, '')
      .replace(/(^|\s)\/\/ .*/gm, '$1')
      .replace(PAIR, '')
      .split('\n')
      .filter((line) => HAN.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(alone).toEqual([]);
});

test('a number in English stands before a word in both its forms', () => {
  const wrong = FILES.flatMap((file) => readFileSync(join(WEB, file), 'utf8').match(/\{n\} [a-z]+s\b[^']*/g) ?? []);
  expect(wrong).toEqual([]);
});

test('no word stands that nobody says', () => {
  const left = FILES.flatMap((file) => {
    const text = readFileSync(join(WEB, file), 'utf8');
    const words = /const t = defineMessages\(\{([^]*?)\}\);/.exec(text)?.[1] ?? '';
    const rest = text.replace(words, '');
    // Said by a code of the server's, where a file does so.
    const isSaidByCode = /\bt\((`|\w+[.)[])/.test(rest);
    const keys = [...words.matchAll(/(?:^|[\n,{]) *(\w+): \[/g)].map(([, key]) => key!);
    return isSaidByCode
      ? []
      : keys.filter((key) => !new RegExp(`['"\`]${key}['"\`]`).test(rest)).map((key) => `${file}: ${key}`);
  });
  expect(left).toEqual([]);
});
