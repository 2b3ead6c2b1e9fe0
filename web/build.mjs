// @ts-check
// Build the apps into dist/, one after the other: each has its own base, chunks and budget. Arguments name apps to build
// instead of all.
import { build } from 'vite';
import { APPS, config, serviceWorkerConfig } from './vite.config.ts';

const names = process.argv.slice(2);
for (const [app, { serviceWorker }] of Object.entries(APPS)) {
  if (names.length && !names.includes(app)) continue;
  await build(config(app));
  if (serviceWorker) await build(serviceWorkerConfig(app));
}
