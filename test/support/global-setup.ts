// Runs once before and after the suite: compiles the sources, which tests start as processes, finds a Chromium, and starts a
// private Redis in a temporary folder, whose URL every test file receives; TEST_TOPOLOGY=cluster or sentinel starts several
// instead. Tests write to Redis, so they never use REDIS_URL.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { startEmbeddedRedis } from '../../src/runtime/embedded-redis.ts';
import { startCluster } from './cluster.ts';
import { startSentinels } from './sentinels.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
    /** Program of the browser; empty for none. */
    chromium: string;
    /** Program of a Chromium without a window if there is one, otherwise that of the browser. */
    headlessShell: string;
  }
}

/** Compiles the sources and starts the Redis of the suite. @returns a function that stops it and deletes its data. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await promisify(execFile)('script/build');
  const redis = await startRedis(process.env.TEST_TOPOLOGY ?? 'single');
  project.provide('redisUrl', redis.url);
  project.provide('chromium', await findChromium());
  project.provide('headlessShell', await findChromium('--headless-shell'));
  return () => redis.stop();
}

async function startRedis(topology: string): Promise<{ url: string; stop(): Promise<void> }> {
  switch (topology) {
    case 'single': {
      const dir = await mkdtemp(join(tmpdir(), 'biolayer-test-'));
      const { url, stop } = await startEmbeddedRedis({ dir });
      return { url, stop: () => stop().then(() => rm(dir, { recursive: true, force: true })) };
    }
    case 'cluster':
      return startCluster();
    case 'sentinel':
      return startSentinels({ replicas: 1 });
    default:
      throw new Error(`TEST_TOPOLOGY must be single, sentinel or cluster, not ${topology}`);
  }
}

async function findChromium(...options: string[]): Promise<string> {
  try {
    return (await promisify(execFile)('script/find-chromium', options)).stdout.trim();
  } catch (error) {
    console.warn(String((error as { stderr?: string }).stderr).trim());
    return '';
  }
}
