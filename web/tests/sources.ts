// The apps' sources as syntax trees, for the tests of this folder.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from '@vue/compiler-sfc';
import ts from 'typescript';

export const WEB = join(import.meta.dirname, '..');

/** All source files of the apps and of the build but the generated types, relative to `web/`. */
export function listSources(pattern = '{desk,phone,resident,shared,tests}/**/*.{vue,ts}'): string[] {
  const files = [...globSync(pattern, { cwd: WEB }), ...globSync('*.{ts,js,mjs}', { cwd: WEB })];
  return files.map((file) => file.replaceAll('\\', '/')).filter((file) => !file.endsWith('.d.ts'));
}

export function readSource(file: string): string {
  return readFileSync(join(WEB, file), 'utf8');
}

/** The scripts of a file; of a Vue component also its template, as `parseTemplate` rewrites it. */
export function parseScripts(file: string, text: string = readSource(file)): ts.SourceFile[] {
  const scripts = file.endsWith('.vue') ? readComponent(file, text) : [text];
  return scripts.map((script) => ts.createSourceFile(file, script, ts.ScriptTarget.ES2022, true, ts.ScriptKind.TS));
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

function readComponent(file: string, text: string): string[] {
  const { descriptor } = parse(text, { filename: file, sourceMap: false });
  const template = descriptor.template?.ast ? parseTemplate(descriptor.template.ast.children as TemplateNode[]) : [];
  return [descriptor.script?.content, descriptor.scriptSetup?.content, ...template].filter(
    (script) => script !== undefined,
  );
}

interface TemplateNode {
  type: number;
  content?: unknown;
  children?: TemplateNode[];
  props?: TemplateDirective[];
}
interface TemplateDirective {
  type: number;
  name: string;
  exp?: { loc: { source: string } };
  forParseResult?: Partial<Record<'source' | 'value' | 'key' | 'index', { loc: { source: string } }>>;
}

const ELEMENT = 1;
const INTERPOLATION = 5;
const DIRECTIVE = 7;

/** Each expression of a template as a script of its own; what `v-for` and slots bind, as parameters of a function. */
function parseTemplate(nodes: TemplateNode[]): string[] {
  return nodes.flatMap((node) => {
    if (node.type === INTERPOLATION) return [`(${(node.content as { loc: { source: string } }).loc.source});`];
    if (node.type !== ELEMENT) return [];
    const directives = (node.props ?? []).filter((prop) => prop.type === DIRECTIVE);
    return [...directives.flatMap(parseDirective), ...parseTemplate(node.children ?? [])];
  });
}

function parseDirective({ name, exp, forParseResult }: TemplateDirective): string[] {
  if (forParseResult) {
    const { source, value, key, index } = forParseResult;
    const parameters = [value, key, index].flatMap((part) => (part ? [part.loc.source] : []));
    return [`(${parameters.join(', ')}) => ${source?.loc.source ?? 'null'};`];
  }
  if (!exp) return [];
  if (name === 'slot') return [`(${exp.loc.source}) => null;`];
  return [name === 'on' ? `() => { ${exp.loc.source} };` : `(${exp.loc.source});`];
}
