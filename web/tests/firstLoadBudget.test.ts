// The build fails when an app's first load exceeds its budget.
import { randomBytes } from 'node:crypto';
import type { Plugin } from 'vite';
import { expect, test, vi } from 'vitest';
import { APPS, config } from '../vite.config.ts';

/** The build's error for a page whose entry imports `staticKb` statically and `lazyKb` dynamically; empty when it passes. */
function build(app: string, staticKb: number, lazyKb: number, also = ''): string {
  const chunk = (fileName: string, kb: number, more: object): object => ({
    type: 'chunk',
    fileName,
    code: randomBytes(kb * 768).toString('base64'),
    imports: [],
    ...more,
  });
  const bundle = {
    'entry.js': chunk('entry.js', 1, { isEntry: true, imports: ['static.js'], dynamicImports: ['lazy.js'] }),
    'static.js': chunk('static.js', staticKb, {}),
    'lazy.js': chunk('lazy.js', lazyKb, { name: also || 'lazy' }),
  };
  const plugin = (config(app).plugins as Plugin[]).find((plugin) => plugin.name === `zoufang:budget${also}`)!;
  let message = '';
  const generate = plugin.generateBundle as unknown as (this: object, options: object, bundle: object) => void;
  generate.call({ error: (text: string) => (message = text) }, {}, bundle);
  return message;
}

// Of random text about three quarters remain when it is compressed.
test('the phone signs in with a first load of up to 60 KB and fails beyond', () => {
  vi.spyOn(console, 'log').mockReturnValue();
  expect(APPS['phone']!.firstLoadKb).toBe(60);
  expect(build('phone', 70, 0)).toBe('');
  expect(build('phone', 90, 0)).toContain('over its budget');
  expect(build('phone', 50, 900)).toBe(''); // lazy screens do not count
});

test('the phone app builds with up to 350 KB in all before its screens and fails beyond', () => {
  vi.spyOn(console, 'log').mockReturnValue();
  expect(APPS['phone']!.wholeKb).toBe(350);
  expect(build('phone', 50, 350, 'whole')).toBe('');
  expect(build('phone', 50, 450, 'whole')).toContain('over its budget');
});
