import { join } from 'node:path';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [vue()],
  resolve: { alias: { '@shared': join(import.meta.dirname, 'shared') } },
  test: {
    include: ['{shared,phone,resident,desk,tests}/**/*.test.ts'],
    testTimeout: 60_000, // the tests that parse or compile every file are slow on a busy machine
  },
});
