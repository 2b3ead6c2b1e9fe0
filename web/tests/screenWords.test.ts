// Each thing has a single Chinese word on every screen; docs/glossary.md lists the words that are no longer used.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listSources, readSource, WEB } from './sources.ts';

const GLOSSARY = readFileSync(join(WEB, '../docs/glossary.md'), 'utf8');
/** Rows such as “| `问卷` | screen | 走访表 |”; the first cell is a regular expression. */
const RETIRED = [...GLOSSARY.matchAll(/^\| `([^`]+)` \| screen \|/gm)].map(([, word]) => new RegExp(word!));

function findRetiredWords(text: string): string[] {
  return text.split('\n').filter((line) => RETIRED.some((word) => word.test(line)));
}

test('no screen shows a retired word', () => {
  const files = listSources('{desk,phone,resident,shared}/**/*.{vue,ts}');
  expect(files).toContain('phone/messages.ts');
  const found = files.flatMap((file) => findRetiredWords(readSource(file)).map((line) => `${file}: ${line.trim()}`));
  expect(found).toEqual([]);
});

test.each(['问卷', '检查表', '更正建议', '提出变更', '待核准'])('%s is refused', (word) => {
  expect(findRetiredWords(`title: ['${word}', 'Title'],`)).toHaveLength(1);
});

test('the words in use pass', () => {
  expect(findRetiredWords('走访表 更正申请 疑点 补正 待审核 逾期 督查 变更通知书')).toEqual([]);
});
