// Fails the build when an app's first load, compressed, is larger than its budget: the page, its entry with all that
// it imports at once, and its styles. What is loaded later (a screen, a language) does not count.
import { brotliCompressSync } from 'node:zlib';
import type { Plugin } from 'vite';

export function budget(app: string, limitKb: number): Plugin {
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
        const worst = sizes.sort((a, b) => b[1] - a[1]).map(([name, size]) => `  ${(size / 1024).toFixed(1)} KB ${name}`);
        this.error(`${app} is over its budget:\n${worst.join('\n')}`);
      }
    },
  };
}

function compressed(output: { type: string; code?: string; source?: string | Uint8Array }): number {
  return brotliCompressSync(output.type === 'chunk' ? output.code! : Buffer.from(output.source!)).length;
}
