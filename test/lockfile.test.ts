// The lock file pins every package by the hash of its contents, so that an altered one cannot be installed.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface LockFile {
  packages: Record<string, { integrity?: string; link?: true }>;
}

it('holds a SHA-512 for every package that is installed', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as LockFile;
  const isInstalled = ([path, entry]: [string, LockFile['packages'][string]]) =>
    path.includes('node_modules/') && !entry.link;
  const unpinned = Object.entries(packages)
    .filter(isInstalled)
    .filter(([, { integrity }]) => !integrity?.startsWith('sha512-'));
  expect(unpinned.map(([path]) => path)).toEqual([]);
});
