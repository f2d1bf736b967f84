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

/**
 * Leaves out of the SDK's generated client what the pages never use: what is said of credentials and headers, since a cookie is
 * the credential, and the client that the generator makes besides ours.
 */
function slimClient(): Plugin {
  return {
    name: 'slim-client',
    enforce: 'pre',
    transform(code, id) {
      if (!id.endsWith('/generated/client.ts')) return null;
      const [used = ''] = code.split('\nexport const client = ');
      return used
        .replaceAll(/, responseHeaders: \[[^\]]*\]/g, '')
        .replaceAll(/ tags: \[[^\]]*\],/g, '')
        .replaceAll(/, security: \[(\[[^\]]*\](, )?)*\]/g, '');
    },
  };
}

/** What both apps need before they show anything: one file, since six requests at a time are all that HTTP/1.1 has. */
const CORE =
  /node_modules\/(react|react-dom|scheduler|@tanstack|wouter|regexparam|mitt|use-sync-external-store|eventsource-parser)\/|packages\/sdk\/|src\/shared\/(start-app|api|time|i18n\/[a-z]+\.tsx?|markdown\/markdown|ui\/(?!secret|confirm|form-dialog|countdown))/;

export default defineConfig({
  root: FOLDER,
  plugins: [slimClient(), react(), compressed()],
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
    // The server reads which files a language needs; see src/api/pages.
    manifest: 'manifest.json',
    rolldownOptions: {
      input: {
        work: entry('work.html'),
        console: entry('console.html'),
        [SERVICE_WORKER]: entry('src/service-worker/service-worker.ts'),
      },
      output: {
        codeSplitting: { groups: [{ name: 'core', test: CORE }] },
        // Its address is fixed, and says for which pages it works.
        entryFileNames: ({ name }) => (name === SERVICE_WORKER ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
