// One configuration for the three apps. `APP=desk npx vite` serves entry of them for development, with the API of a
// running `make run` behind it; `npm run build` builds all (build.mjs).
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import vue from '@vitejs/plugin-vue';
import { defineConfig, type InlineConfig, type Plugin } from 'vite';

const HERE = import.meta.dirname;
// The program has one version, pyproject.toml's.
const VERSION = /^version = "(.+)"$/m.exec(readFileSync(join(HERE, '..', 'pyproject.toml'), 'utf8'))?.[1] ?? '0';
const API = process.env.ZOUFANG_API ?? 'http://127.0.0.1:8000';
// A five-year-old Android in WeChat's browser.
const TARGET = ['chrome80', 'safari14'];
/** Smaller files are served uncompressed. */
const MIN_COMPRESSED_BYTES = 1000;

interface App {
  base: string;
  /** Budget of the first load in KB, compressed. */
  firstLoadKb: number;
  /** Budget of the first load with what it goes on to load by itself (whole.ts). */
  wholeKb?: number;
  /** Has a service worker, so that it opens without a network. */
  serviceWorker?: boolean;
}

export const APPS: Record<string, App> = {
  // 60 KB are ten seconds on a 2G network (50 kbit/s).
  phone: { base: '/m/', firstLoadKb: 60, wholeKb: 350, serviceWorker: true },
  resident: { base: '/r/', firstLoadKb: 350 },
  desk: { base: '/desk/', firstLoadKb: 900 },
};

export function config(app: string): InlineConfig {
  const { base, firstLoadKb, wholeKb } = APPS[app]!;
  return {
    configFile: false,
    root: join(HERE, app),
    base,
    logLevel: 'warn',
    plugins: [
      vue(),
      lateStyles(),
      budget(app, firstLoadKb),
      ...(wholeKb ? [budget(app, wholeKb, 'whole')] : []),
      precompressed(),
    ],
    define: { __APP_VERSION__: JSON.stringify(VERSION) },
    resolve: { alias: { '@shared': join(HERE, 'shared') } },
    build: {
      outDir: outDir(app),
      emptyOutDir: true,
      target: TARGET,
      assetsInlineLimit: 0, // data: URLs would have to be allowed by the Content-Security-Policy
      modulePreload: { polyfill: true },
      chunkSizeWarningLimit: 2000, // the budget plugin holds the limit
    },
    server: {
      proxy: Object.fromEntries(
        ['/auth', '/field', '/desk/v1', '/resident', '/public', '/uploads', '/.well-known'].map((path) => [path, API]),
      ),
    },
  };
}

/** The service worker is a single file at the app's root; it lists every file of the app's build, which runs first. */
export function serviceWorkerConfig(app: string): InlineConfig {
  return {
    configFile: false,
    root: join(HERE, app),
    logLevel: 'warn',
    publicDir: false,
    plugins: [precompressed()],
    define: {
      __PRECACHE__: JSON.stringify(precache(app)),
      __BASE__: JSON.stringify(APPS[app]!.base),
      'process.env.NODE_ENV': '"production"',
    },
    build: {
      outDir: outDir(app),
      emptyOutDir: false,
      target: TARGET,
      lib: { entry: join(HERE, app, 'sw.ts'), formats: ['iife'], name: 'worker', fileName: () => 'sw.js' },
    },
  };
}

function outDir(app: string): string {
  return join(HERE, 'dist', APPS[app]!.base.replaceAll('/', ''));
}

/** Every file with its revision; a file with a hash in its name needs none. */
function precache(app: string): { url: string; revision: string | null }[] {
  const folder = outDir(app);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(br|gz)$/.test(entry.name) && !['sw.js', '.stamp'].includes(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
    .map((name) => ({
      url: APPS[app]!.base + name,
      revision: name.startsWith('assets/')
        ? null
        : createHash('sha256')
            .update(readFileSync(join(folder, name)))
            .digest('hex'),
    }));
}

export default defineConfig(() => config(process.env.APP ?? 'phone'));

/** Put the styles behind the body: in the head they would hold back the first paint, and the frame needs none. */
function lateStyles(): Plugin {
  const STYLES = /\n\s*<link rel="stylesheet"[^>]*>/g;
  return {
    name: 'zoufang:late-styles',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler: (html) =>
        html.replace(STYLES, '').replace('</body>', `${(html.match(STYLES) ?? []).join('')}\n  </body>`),
    },
  };
}

/** Fail the build when an app's first load, compressed, exceeds its budget: the page, its entry with all static imports,
 * and its styles. Lazy chunks (a screen, a language) do not count. */
function budget(app: string, limitKb: number, also = ''): Plugin {
  return {
    name: `zoufang:budget${also}`,
    apply: 'build',
    generateBundle(_options, bundle) {
      const first = new Set<string>();
      const add = (name: string): void => {
        if (first.has(name)) return;
        first.add(name);
        const chunk = bundle[name];
        if (chunk?.type !== 'chunk') return;
        chunk.imports.forEach(add);
        chunk.viteMetadata?.importedCss.forEach((css) => first.add(css));
      };
      for (const chunk of Object.values(bundle)) {
        if (chunk.type === 'chunk' && (chunk.isEntry || chunk.name === also)) add(chunk.fileName);
      }
      const sizes = [...first].map((name): [string, number] => [name, compressed(bundle[name]!)]);
      const totalKb = sizes.reduce((sum, [, size]) => sum + size, 0) / 1024;
      console.log(
        `${app}: ${totalKb.toFixed(0)} KB compressed ${also ? 'in all' : 'at first load'} (budget ${limitKb} KB)`,
      );
      if (totalKb > limitKb) {
        const largest = sizes
          .sort((a, b) => b[1] - a[1])
          .map(([name, size]) => `  ${(size / 1024).toFixed(1)} KB ${name}`);
        this.error(`${app} is over its budget:\n${largest.join('\n')}`);
      }
    },
  };
}

function compressed(output: { type: string; code?: string; source?: string | Uint8Array }): number {
  return brotliCompressSync(output.type === 'chunk' ? output.code! : Buffer.from(output.source!)).length;
}

/** Write `.br` and `.gz` beside every text file of the build; the server sends them as they are. */
function precompressed(): Plugin {
  return {
    name: 'zoufang:precompressed',
    apply: 'build',
    writeBundle({ dir }, bundle) {
      for (const name of Object.keys(bundle)) {
        const file = join(dir!, name);
        if (!/\.(js|css|html|svg|json)$/.test(name)) continue;
        const content = readFileSync(file);
        if (content.length < MIN_COMPRESSED_BYTES) continue;
        writeFileSync(`${file}.br`, brotliCompressSync(content));
        writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}
