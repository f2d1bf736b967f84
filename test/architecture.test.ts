// Compares the imports of src/ with the order of folders in docs/architecture.md. Imports of types count too: with them a
// folder cannot be understood without the other either.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from 'oxc-parser';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(ROOT, 'src');
const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) =>
  /\.(ts|mjs)$/.test(path),
);

/** The lines of the order, each as the folders that it names. */
function order(): string[][] {
  const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  const [, block = ''] = /^```folders\n(.*?)^```$/ms.exec(text) ?? [];
  return block
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
}

/** The folder of a file; files of `src/` itself, and those of `src/api/` itself, stand for themselves. */
function folderOf(path: string): string {
  const folder = dirname(path);
  return folder === '.' || folder === 'api' ? path : folder;
}

/** The files that a file imports, also only for their types, relative to `src/`. */
function importsOf(path: string): string[] {
  const source = readFileSync(join(SRC, path), 'utf8');
  const { module, errors } = parseSync(path, source);
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]?.message}`);
  const named = [
    ...module.staticImports.map((one) => one.moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap((one) => one.moduleRequest?.value ?? []),
    ),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) => source.slice(start + 1, end - 1)),
  ];
  return named.filter((name) => name.startsWith('.')).map((name) => normalize(join(dirname(path), name)));
}

describe('docs/architecture.md', () => {
  it('names every folder of src once', () => {
    expect(order().flat().sort()).toEqual([...new Set(FILES.map(folderOf))].sort());
  });

  it('has every folder import only from folders above it', () => {
    const line = new Map(order().flatMap((folders, index) => folders.map((folder) => [folder, index])));
    const wrong = FILES.flatMap((path) =>
      importsOf(path)
        .filter((target) => {
          const [from, to] = [folderOf(path), folderOf(target)];
          return from !== to && !((line.get(to) ?? Number.NaN) < (line.get(from) ?? Number.NaN));
        })
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });
});
