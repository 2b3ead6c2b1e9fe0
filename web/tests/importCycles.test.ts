// No file imports itself by way of others: in a cycle the order of evaluation depends on which file is loaded first.
// Type-only imports do not count, since the build erases them.
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { listSources, parseScripts, walk } from './sources.ts';

type Graph = Map<string, string[]>;

function listImports(file: string): string[] {
  const specifiers: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && !node.importClause?.isTypeOnly) specifiers.push(textOf(node.moduleSpecifier));
    if (ts.isExportDeclaration(node) && node.moduleSpecifier && !node.isTypeOnly)
      specifiers.push(textOf(node.moduleSpecifier));
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      specifiers.push(textOf(node.arguments[0]!));
  };
  parseScripts(file).forEach((script) => walk(script, visit));
  return specifiers.flatMap((specifier) => {
    if (specifier.startsWith('@shared/')) return [specifier.replace('@shared/', 'shared/')];
    return specifier.startsWith('.') ? [join(file, '..', specifier).replaceAll('\\', '/')] : [];
  });
}

function textOf(node: ts.Node): string {
  return ts.isStringLiteralLike(node) ? node.text : '';
}

/** The first cycle found from each file that is on one, as “a → b → a”. */
function findCycles(graph: Graph): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const follow = (file: string, path: string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (path.includes(file) || done.has(file)) return;
    for (const imported of graph.get(file) ?? []) follow(imported, [...path, file]);
    done.add(file);
  };
  [...graph.keys()].forEach((file) => follow(file, []));
  return cycles;
}

test('no import cycles', () => {
  const graph: Graph = new Map(listSources().map((file) => [file, listImports(file)]));
  expect(graph.get('phone/App.vue')).toContain('phone/store/openStore.ts');
  expect(graph.get('phone/store/sync.ts')).toContain('shared/api/client.ts');
  expect(findCycles(graph)).toEqual([]);
});

test('a cycle is found', () => {
  const graph: Graph = new Map([
    ['outbox', ['proposals']],
    ['proposals', ['sync', 'ids']],
    ['sync', ['outbox']],
    ['ids', []],
  ]);
  expect(findCycles(graph)).toEqual(['outbox → proposals → sync → outbox']);
});
