// A second copy of modules of src/, which shares no state with the first: for code that another process runs, or for two
// in one process that stand for two processes.
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Bundles a module, named from the root, with all that it imports of src/. @returns the URL of the bundle. */
export function secondCopyOf(module: string): string {
  // From this folder, packages are found.
  const outfile = join(ROOT, 'node_modules/.cache/biolayer-tests', module.replace(/\W/g, '-').concat('.mjs'));
  buildSync({
    absWorkingDir: ROOT,
    entryPoints: [module],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  });
  return pathToFileURL(outfile).href;
}
