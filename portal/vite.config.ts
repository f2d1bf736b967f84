// Builds the pages into dist/: an HTML entry for each app, and assets whose names hold a hash of their content, each also
// compressed. Nothing is inlined, because the policy of the pages allows scripts and styles from files only.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const SERVICE_WORKER = 'work/service-worker';
const entry = (name: string) => join(FOLDER, name);

/** Writes `.gz` and `.br` files beside each asset, which the server sends to browsers that accept them. */
function compressed(): Plugin {
  let folder = '';
  return {
    name: 'compressed-assets',
    apply: 'build',
    configResolved: ({ build }) => {
      folder = join(FOLDER, build.outDir, build.assetsDir);
    },
    async closeBundle() {
      const names = (await readdir(folder)).filter((name) => /\.(m?js|css|svg)$/.test(name));
      await Promise.all(
        names.map(async (name) => {
          const content = await readFile(join(folder, name));
          await writeFile(join(folder, `${name}.gz`), await promisify(gzip)(content, { level: 9 }));
          await writeFile(join(folder, `${name}.br`), await promisify(brotliCompress)(content));
        }),
      );
    },
  };
}

export default defineConfig({
  root: FOLDER,
  plugins: [react(), compressed()],
  // The SDK is compiled from its sources, as everything here.
  // React of this workspace, also for packages that are installed beside another version.
  resolve: {
    conditions: ['biolayer-source', 'module', 'browser', 'production'],
    dedupe: ['react', 'react-dom'],
  },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: ['chrome123', 'firefox121', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    rolldownOptions: {
      input: {
        work: entry('work.html'),
        console: entry('console.html'),
        [SERVICE_WORKER]: entry('src/service-worker/service-worker.ts'),
      },
      output: {
        // Its address is fixed, and says for which pages it works.
        entryFileNames: ({ name }) => (name === SERVICE_WORKER ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
