// The owner of the embedded Redis syncs its append-only file, since Redis itself does not.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { keepSynced } from '../../src/runtime/aof-sync.ts';

const dir = await mkdtemp(join(tmpdir(), 'biolayer-aof-'));
afterAll(() => rm(dir, { recursive: true }));

it('syncs what was written, again after each further write, and one sync at a time', async () => {
  const file = join(dir, 'appendonly.aof.1.incr.aof');
  const synced: string[] = [];
  let running = 0;
  let release = () => {};
  const stop = keepSynced(dir, async (path) => {
    running += 1;
    expect(running).toBe(1);
    synced.push(path);
    await new Promise<void>((resolve) => {
      release = () => {
        running -= 1;
        resolve();
      };
    });
  });
  try {
    await writeFile(file, 'one');
    await vi.waitFor(() => expect(synced).toEqual([file]), { timeout: 10_000 });
    await writeFile(file, 'two');
    release();
    await vi.waitFor(() => expect(synced.length).toBeGreaterThan(1), { timeout: 10_000 });
    release();
  } finally {
    stop();
  }
});

it('waits for a folder that Redis has not created yet', async () => {
  const later = join(dir, 'appendonlydir');
  const synced: string[] = [];
  const stop = keepSynced(later, async (path) => {
    synced.push(path);
  });
  try {
    await mkdir(later);
    await writeFile(join(later, 'appendonly.aof.manifest'), 'file');
    await vi.waitFor(() => expect(synced).toContain(join(later, 'appendonly.aof.manifest')), {
      timeout: 10_000,
    });
  } finally {
    stop();
  }
});
