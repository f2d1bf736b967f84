// The directory lock without a Redis: who gets it, who is refused, and which locks are ignored.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DirectoryInUseError, lockDirectory } from '../../src/runtime/directory-lock.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'biolayer-lock-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

it('is held until it is released, and leaves no file', async () => {
  const lock = await lockDirectory(dir);
  await expect(lockDirectory(dir, 0)).rejects.toThrow(DirectoryInUseError);
  await lock.release();
  expect(await readdir(dir)).toEqual([]);
  await (await lockDirectory(dir, 0)).release();
});

it('is given to exactly one of several simultaneous starts', async () => {
  await writeFile(join(dir, 'lock-1-stale'), '');
  const starts = await Promise.allSettled(Array.from({ length: 6 }, () => lockDirectory(dir, 1000)));
  expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(await readdir(dir)).toHaveLength(1);
});

it('is refused at once, whatever the waiting time, when a server runs', async () => {
  const lock = await lockDirectory(dir);
  lock.addServer(process.pid);
  await expect(lockDirectory(dir, 60_000)).rejects.toThrow(
    `${dir} is in use by another BioLayer (process ${process.pid}). Stop it first`,
  );
});

it.each([
  ['that is cut short', '{"owner":{"pi'],
  ['that is empty', ''],
  ['without an owner', '{}'],
  ['of a pid that another process has now', JSON.stringify({ owner: { pid: process.pid, began: '1' } })],
])('ignores a lock %s', async (_, content) => {
  await writeFile(join(dir, 'lock-1-stale'), content);
  await lockDirectory(dir, 0);
  expect(await readdir(dir)).toEqual([expect.stringContaining(`lock-${process.pid}-`)]);
});
