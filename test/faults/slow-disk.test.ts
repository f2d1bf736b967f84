// A disk that takes 1.5 s for every sync, and a kill -9 of Redis: the embedded Redis has written every answered command.
// With `appendfsync everysec` Redis loses nearly all of them here.

import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedRedis } from '../../src/runtime/embedded-redis.ts';
import { connect } from '../../src/store/redis/connection.ts';
import { readTopology } from '../../src/store/redis/topology.ts';

const SLOW_SYNC = `
#include <unistd.h>
int fdatasync(int fd) { usleep(1500000); return 0; }
int fsync(int fd) { usleep(1500000); return 0; }
`;
const hasCompiler = (() => {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
if (!hasCompiler)
  console.warn('slow-disk.test.ts is skipped: it needs a C compiler (Debian: apt-get install gcc)');

describe.skipIf(!hasCompiler)('a disk that is slow to sync', () => {
  let dir: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'biolayer-slow-disk-'));
    const source = join(dir, 'slow-sync.c');
    await writeFile(source, SLOW_SYNC);
    execFileSync('cc', ['-shared', '-fPIC', '-o', join(dir, 'slow-sync.so'), source]);
    process.env.LD_PRELOAD = join(dir, 'slow-sync.so');
  });
  afterAll(async () => {
    delete process.env.LD_PRELOAD;
    await rm(dir, { recursive: true });
  });

  it('loses no answered write when Redis is killed', async () => {
    const first = await startEmbeddedRedis({ dir });
    const client = connect(readTopology(first.url), 'patient', () => undefined);
    for (let index = 0; index < 500; index += 1) await client.set(`key:${index}`, index);
    process.kill(first.pid, 'SIGKILL');
    await first.ended;
    client.disconnect();

    const second = await startEmbeddedRedis({ dir });
    const again = connect(readTopology(second.url), 'patient', () => undefined);
    expect(await again.dbsize()).toBe(500);
    await again.quit();
    await second.stop();
  });
});
