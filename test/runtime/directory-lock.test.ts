// The directory lock without a Redis: who gets it, who is refused, and which locks are ignored.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DirectoryInUseError, lockDirectory, runningServerUrl } from '../../src/runtime/directory-lock.ts';

const URL = 'redis://127.0.0.1:1';

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
  lock.addServer(process.pid, URL);
  await expect(lockDirectory(dir, 60_000)).rejects.toThrow(
    `${dir} is in use by another BioLayer (process ${process.pid}). Stop it first`,
  );
});

it('names the URL of the server while it is alive', async () => {
  expect(await runningServerUrl(join(dir, 'missing'))).toBeUndefined();
  const server = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)']);
  await once(server, 'spawn');
  const lock = await lockDirectory(dir);
  expect(await runningServerUrl(dir)).toBeUndefined();
  lock.addServer(server.pid ?? 0, URL);
  expect(await runningServerUrl(dir)).toBe(URL);

  server.kill('SIGKILL');
  await once(server, 'exit');
  expect(await runningServerUrl(dir)).toBeUndefined();
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
