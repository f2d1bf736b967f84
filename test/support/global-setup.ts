// Runs once around the whole suite: the compiled sources, which tests start as processes, and a private Redis in
// a temporary folder, its URL provided to every test file. A REDIS_URL of the environment is never used: tests
// write, and it may be somebody's.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { startEmbeddedRedis } from '../../src/runtime/embedded-redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
  }
}

/** Compiles, and starts the suite's Redis; the function it returns stops it and removes its data. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await promisify(execFile)('script/build');
  const dir = await mkdtemp(join(tmpdir(), 'biolayer-test-'));
  const redis = await startEmbeddedRedis({ dir });
  project.provide('redisUrl', redis.url);
  return async () => {
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  };
}
