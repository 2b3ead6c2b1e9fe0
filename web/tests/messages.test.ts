// Every message of the apps is a pair, Chinese and English: text written into a template or in a single language would be
// shown to readers of the other language too.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const WEB = join(import.meta.dirname, '..');
const FILES = globSync('{desk,phone,resident,shared}/**/*.{vue,ts}', { cwd: WEB }).filter(
  (file) => !/test\.ts$|^shared\/wx/.test(file),
);
const HAN = /\p{Script=Han}/u;
const QUOTED = `('[^']*'|"[^"]*"|\`[^\`]*\`)`;
// The English half may be an expression: a code of the server without a message is shown as it is.
const PAIR = new RegExp(
  `\\[\\s*${QUOTED},\\s*(${QUOTED}|[^\\]]+?),?\\s*\\]|zh: ${QUOTED},\\s*en: ${QUOTED}|replace\\(/[^/]*/`,
  'g',
);

test('every Chinese message has its English one beside it', () => {
  expect(FILES.length).toBeGreaterThan(100);
  const unpaired = FILES.flatMap((file) =>
    readFileSync(join(WEB, file), 'utf8')
      .replace(/<!--[^]*?-->|\/\*[^]*?\*\//g, '')
      .replace(/(^|\s)\/\/ .*/gm, '$1')
      .replace(PAIR, '')
      .split('\n')
      .filter((line) => HAN.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(unpaired).toEqual([]);
});

test('an English noun after a number has a singular and a plural', () => {
  const wrong = FILES.flatMap((file) => readFileSync(join(WEB, file), 'utf8').match(/\{n\} [a-z]+s\b[^']*/g) ?? []);
  expect(wrong).toEqual([]);
});

test('every message is used', () => {
  const unused = FILES.flatMap((file) => {
    const text = readFileSync(join(WEB, file), 'utf8');
    const messages = /const t = defineMessages\(\{([^]*?)\}\);/.exec(text)?.[1] ?? '';
    const rest = text.replace(messages, '');
    // Keys built from a code of the server cannot be checked.
    const usesCodes = /\bt\((`|\w+[.)[])/.test(rest);
    const keys = [...messages.matchAll(/(?:^|[\n,{]) *(\w+): \[/g)].map(([, key]) => key!);
    return usesCodes
      ? []
      : keys.filter((key) => !new RegExp(`['"\`]${key}['"\`]`).test(rest)).map((key) => `${file}: ${key}`);
  });
  expect(unused).toEqual([]);
});
