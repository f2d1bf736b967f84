// The lock file has a hash of every package, so that an altered package cannot be installed.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface LockFile {
  packages: Record<string, { integrity?: string; link?: true }>;
}

it('has a SHA-512 hash for every installed package', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as LockFile;
  const isInstalled = ([path, entry]: [string, LockFile['packages'][string]]) =>
    path.includes('node_modules/') && !entry.link;
  const unpinned = Object.entries(packages)
    .filter(isInstalled)
    .filter(([, { integrity }]) => !integrity?.startsWith('sha512-'));
  expect(unpinned.map(([path]) => path)).toEqual([]);
});
