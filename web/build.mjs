// Builds the three apps into dist/, one after the other: each has its own base, its own chunks and its own budget.
import { build } from 'vite';
import { APPS, config, serviceWorkerConfig } from './vite.config.ts';

const asked = process.argv.slice(2);
for (const app of asked.length ? asked : Object.keys(APPS)) {
  await build(config(app));
  if (APPS[app].worker) await build(serviceWorkerConfig(app));
}
