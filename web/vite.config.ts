// One configuration for the three apps. `APP=desk npx vite` serves one of them for development, with the API of a
// running `make run` behind it; `npm run build` builds all (build.mjs).
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import vue from '@vitejs/plugin-vue';
import { defineConfig, type InlineConfig, type Plugin } from 'vite';

const HERE = import.meta.dirname;
const VERSION = process.env.npm_package_version ?? '0';
const API = process.env.ZOUFANG_API ?? 'http://127.0.0.1:8000';
// A five-year-old Android in WeChat's browser.
const TARGET = ['chrome80', 'safari14'];
/** Smaller ones are sent as they are. */
const WORTH_COMPRESSING_BYTES = 1000;

interface App {
  base: string;
  /** What a first visit may cost on the wire, compressed. */
  firstLoadKb: number;
  /** Has a service worker, so that it opens with no network. */
  worker?: boolean;
}

export const APPS: Record<string, App> = {
  phone: { base: '/m/', firstLoadKb: 350, worker: true },
  resident: { base: '/r/', firstLoadKb: 350 },
  desk: { base: '/desk/', firstLoadKb: 900 },
};

export function config(app: string): InlineConfig {
  const { base, firstLoadKb } = APPS[app]!;
  return {
    configFile: false,
    root: join(HERE, app),
    base,
    logLevel: 'warn',
    plugins: [vue(), budget(app, firstLoadKb), precompressed()],
    define: { __APP_VERSION__: JSON.stringify(VERSION) },
    resolve: { alias: { '@shared': join(HERE, 'shared') } },
    build: {
      outDir: outDir(app),
      emptyOutDir: true,
      target: TARGET,
      assetsInlineLimit: 0, // data: addresses would have to be allowed by the Content-Security-Policy
      modulePreload: { polyfill: true },
      chunkSizeWarningLimit: 2000, // the budget is what counts
    },
    server: {
      proxy: Object.fromEntries(
        ['/auth', '/field', '/desk/v1', '/resident', '/public', '/uploads', '/.well-known'].map((path) => [path, API]),
      ),
    },
  };
}

/** The service worker is one file at the app's root, and knows every file of the build before it. */
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

/** Every file with the revision by which a change is seen; one with a hash in its name is its own revision. */
function precache(app: string): { url: string; revision: string | null }[] {
  const folder = outDir(app);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile() && !/\.(br|gz)$/.test(one.name) && !['sw.js', '.stamp'].includes(one.name))
    .map((one) => relative(folder, join(one.parentPath, one.name)))
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

/** Fails the build when an app's first load, compressed, is larger than its budget: the page, its entry with all that it
 * imports at once, and its styles. What is loaded later (a screen, a language) does not count. */
function budget(app: string, limitKb: number): Plugin {
  return {
    name: 'zoufang:budget',
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
      for (const chunk of Object.values(bundle)) if (chunk.type === 'chunk' && chunk.isEntry) add(chunk.fileName);
      const sizes = [...first].map((name): [string, number] => [name, compressed(bundle[name]!)]);
      const totalKb = sizes.reduce((sum, [, size]) => sum + size, 0) / 1024;
      console.log(`${app}: ${totalKb.toFixed(0)} KB compressed at first load (budget ${limitKb} KB)`);
      if (totalKb > limitKb) {
        const worst = sizes
          .sort((a, b) => b[1] - a[1])
          .map(([name, size]) => `  ${(size / 1024).toFixed(1)} KB ${name}`);
        this.error(`${app} is over its budget:\n${worst.join('\n')}`);
      }
    },
  };
}

function compressed(output: { type: string; code?: string; source?: string | Uint8Array }): number {
  return brotliCompressSync(output.type === 'chunk' ? output.code! : Buffer.from(output.source!)).length;
}

/** Writes `.br` and `.gz` beside every text file of the build: the server sends them as they lie (server/pages.py). */
function precompressed(): Plugin {
  return {
    name: 'zoufang:precompressed',
    apply: 'build',
    writeBundle({ dir }, bundle) {
      for (const name of Object.keys(bundle)) {
        const file = join(dir!, name);
        if (!/\.(js|css|html|svg|json)$/.test(name)) continue;
        const content = readFileSync(file);
        if (content.length < WORTH_COMPRESSING_BYTES) continue;
        writeFileSync(`${file}.br`, brotliCompressSync(content));
        writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}
