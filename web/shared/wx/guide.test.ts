// Compiles the code blocks of README.md as a newcomer would paste them, against the adapter and WeChat's types.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { newId } from './ids.ts';

const HERE = import.meta.dirname;
const WEB = join(HERE, '../..');
const GUIDE = readFileSync(join(HERE, 'README.md'), 'utf8');

/** The code blocks by the file name in their first line, with imports resolved to this repository. */
function readCodeBlocks(): Map<string, string> {
  const blocks = GUIDE.matchAll(/```ts\n\/\/ (\S+)\n([^]*?)```/g);
  return new Map(
    [...blocks].map(([, name, code]) => [
      join(HERE, `guide-${name!.split('/').pop()!}`),
      code!.replace(/'\.{1,2}\/zoufang\/(\w+)'/g, "'./$1.ts'").replace(/'\.{1,2}\/field'/g, "'./guide-field.ts'"),
    ]),
  );
}

test('every example of the guide compiles', () => {
  const files = readCodeBlocks();
  expect(files.size).toBeGreaterThan(3);
  const config = ts.readConfigFile(join(HERE, 'tsconfig.json'), ts.sys.readFile).config as { compilerOptions: object };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, HERE);
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.getSourceFile = (name, ...rest) =>
    files.has(name)
      ? ts.createSourceFile(name, files.get(name)!, ts.ScriptTarget.ES2020)
      : getSourceFile(name, ...rest);
  const program = ts.createProgram([...files.keys()], options, host);
  const errors = ts
    .getPreEmitDiagnostics(program)
    .map(
      (diagnostic) => `${diagnostic.file?.fileName}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')}`,
    );
  expect(errors).toEqual([]);
}, 60_000);

test('the command in the guide emits the adapter as plain JavaScript', () => {
  const { scripts } = JSON.parse(readFileSync(join(WEB, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  expect(GUIDE).toContain('npm run build:wx');
  const folder = mkdtempSync(join(tmpdir(), 'zoufang-wx-'));
  execFileSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', ...scripts['build:wx']!.split(' ').slice(1), '--outDir', folder],
    { cwd: WEB },
  );
  expect(Object.keys(createRequire(import.meta.url)(join(folder, 'uploads.js')) as object)).toEqual(['openUploads']);
  rmSync(folder, { recursive: true });
}, 60_000);

test('every file that the guide names exists', () => {
  const paths = [...GUIDE.matchAll(/`((?:\.\.\/)+[^`]+|\w+\.ts)`/g)].map(([, path]) => path!);
  expect(paths.length).toBeGreaterThan(5);
  expect(paths.filter((path) => !existsSync(join(HERE, path)))).toEqual([]);
});

test('an ID has version 7 and is ordered by time', async () => {
  const wx = { getRandomValues: async () => ({ randomValues: new Uint8Array(16).fill(255).buffer, errMsg: 'ok' }) };
  const [early, late] = [await newId(wx as never, 1_000_000), await newId(wx as never, 2_000_000_000_000)];
  expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(early < late).toBe(true);
});
