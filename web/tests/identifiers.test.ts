// Names that the vocabulary retired stay retired: a loop variable is called after its noun, a value after what it holds,
// and each thing has a single name in all apps.
import ts from 'typescript';
import { expect, test } from 'vitest';
import { listSources, parseScripts, walk } from './sources.ts';

const RETIRED = /^(one|told|asked|came|known|wanted|Sender|Amending|gates?|say|say[A-Z]\w*)$|doubt/i;

/** Every name that a file gives to something: variables, parameters, properties, functions, types, imports. */
function findDeclaredNames(script: ts.SourceFile): string[] {
  const names: string[] = [];
  walk(script, (node) => {
    const { name } = node as { name?: ts.Node };
    if (!name || ts.isPropertyAccessExpression(node) || ts.isMetaProperty(node)) return;
    if (ts.isIdentifier(name) || ts.isPrivateIdentifier(name)) names.push(name.text.replace(/^#/, ''));
    else if (ts.isStringLiteral(name)) names.push(name.text);
  });
  return names;
}

function findRetiredNames(file: string, text?: string): string[] {
  const names = parseScripts(file, text).flatMap(findDeclaredNames);
  return [...new Set(names)].filter((name) => RETIRED.test(name)).map((name) => `${file}: ${name}`);
}

test('no file declares a retired name', () => {
  const files = listSources();
  expect(files.length).toBeGreaterThan(100);
  expect(files.flatMap((file) => findRetiredNames(file))).toEqual([]);
});

test.each([
  ['a.ts', 'const one = 1;', 'one'],
  ['a.ts', 'items.map((told) => told.id);', 'told'],
  ['a.ts', 'for (const asked of list) use(asked);', 'asked'],
  ['a.ts', 'const { id: came, rest: [known] } = row;', 'came, known'],
  ['a.ts', 'interface Row { wanted: string; doubts: number }', 'wanted, doubts'],
  ['a.ts', 'export class Sender { told = 1; #asked = 2 }', 'Sender, told, asked'],
  ['a.ts', "function sayHello(): void {}\nconst labels = { 'told': 1 };", 'sayHello, told'],
  ['a.ts', "import { say } from './i18n.ts';", 'say'],
  ['a.vue', '<template><li v-for="(one, n) in rows" :key="n" /></template>', 'one'],
  ['a.vue', '<template><List><template #row="{ told }">{{ told }}</template></List></template>', 'told'],
  ['a.vue', '<template><b @click="rows.find((asked) => asked)">{{ f((came) => came) }}</b></template>', 'asked, came'],
  ['a.vue', '<script setup lang="ts">const known = 1;</script>', 'known'],
])('%s with %s is refused', (file, text, names) => {
  const found = findRetiredNames(file, text).map((line) => line.replace(/^.*: #?/, ''));
  expect(new Set(found)).toEqual(new Set(names.split(', ')));
});

test('names that the server chose may be read, and other names stand', () => {
  expect(findRetiredNames('a.ts', 'const findings = visit.doubts; const known_ = 1; const phones = someone;')).toEqual(
    [],
  );
  expect(findRetiredNames('a.vue', '<template><li v-for="row in rows" :key="row.one" /></template>')).toEqual([]);
});
