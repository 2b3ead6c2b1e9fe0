// The build's own promise: an app whose first load is over its budget is not built.
import { randomBytes } from 'node:crypto';
import type { Plugin } from 'vite';
import { expect, test, vi } from 'vitest';
import { APPS, config } from '../vite.config.ts';

/** What the build says of a page whose entry imports `nowKb` at once and `laterKb` when it is asked for. */
function build(app: string, nowKb: number, laterKb: number): string {
  const chunk = (fileName: string, kb: number, more: object): object => ({
    type: 'chunk',
    fileName,
    code: randomBytes(kb * 768).toString('base64'),
    imports: [],
    ...more,
  });
  const bundle = {
    'entry.js': chunk('entry.js', 1, { isEntry: true, imports: ['now.js'], dynamicImports: ['later.js'] }),
    'now.js': chunk('now.js', nowKb, {}),
    'later.js': chunk('later.js', laterKb, {}),
  };
  const plugin = (config(app).plugins as Plugin[]).find((one) => one.name === 'zoufang:budget')!;
  let told = '';
  const generate = plugin.generateBundle as unknown as (this: object, options: object, bundle: object) => void;
  generate.call({ error: (text: string) => (told = text) }, {}, bundle);
  return told;
}

test('the phone is built up to 350 KB at first load, and not beyond', () => {
  vi.spyOn(console, 'log').mockReturnValue();
  expect(APPS['phone']!.firstLoadKb).toBe(350);
  expect(build('phone', 400, 0)).toBe(''); // 400 KB of text are about 300 compressed
  expect(build('phone', 500, 0)).toContain('over its budget');
  expect(build('phone', 300, 900)).toBe(''); // a screen that is opened later costs nothing before
});
