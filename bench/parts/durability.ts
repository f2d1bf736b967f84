// The cost of `DURABILITY=replicated`: creates that two replicas confirm, against the same creates with the same replicas.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startEmbeddedRedis } from '../../src/runtime/embedded-redis.ts';
import { emptied, type Rate, requests } from '../measures.ts';
import { inRounds, type Measured, type Row, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, type Child, Client, createOrg, exampleTaskBody } from '../stage.ts';

const REPLICAS = 2;

export async function measureDurability(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const seconds = Math.max(0.5, scale);
  const dir = await mkdtemp(join(tmpdir(), 'biolayer-bench-replicas-'));
  const replicas = await Promise.all(
    Array.from({ length: REPLICAS }, (_, index) => startEmbeddedRedis({ dir: join(dir, String(index)) })),
  );
  try {
    for (const replica of replicas) await follow(replica.url, stage.redisUrl);
    await stage.redis.set('first', '1');
    await stage.redis.wait(REPLICAS, 30_000);
    const settings = { DURABILITY: 'replicated', DURABILITY_REPLICAS: String(REPLICAS) };
    const [local, replicated] = [await stage.start('src/web.js'), await stage.start('src/web.js', settings)];
    const measure = (web: Child) => async () => {
      await emptied(stage.redis);
      const url = String(web.ready.url);
      const api = new Client(url, 1);
      const { api_key } = await createOrg(api, 0, 1);
      await api.close();
      const load = {
        url: `${url}/v1/tasks`,
        credential: api_key,
        body: exampleTaskBody(null),
        connections: 32,
      };
      await requests({ ...load, seconds: seconds / 2 });
      return await requests({ ...load, seconds });
    };
    const measured = await inRounds(rounds, { local: measure(local), replicated: measure(replicated) }, true);
    await Promise.all([local.stop(), replicated.stop()]);
    const compared = (what: string, unit: string, field: keyof Rate, better: Row['better'], aim: string) =>
      row(
        [`${what} that ${REPLICAS} replicas confirm`, unit, better],
        measured.replicated.map((one) => one[field]),
        { what: 'DURABILITY=local', values: measured.local.map((one) => one[field]) },
        aim,
      );
    return {
      rows: [
        compared('creates', '/s', 'per_second', 'higher', 'ratio ≥ 0.6'),
        compared('create p99', 'ms', 'p99_ms', 'lower', ''),
      ],
    };
  } finally {
    await Promise.all(replicas.map((one) => one.stop()));
    await rm(dir, { recursive: true, force: true });
  }
}

/** Makes a server a replica of another. */
async function follow(url: string, primaryUrl: string): Promise<void> {
  const { hostname, port, password } = new URL(primaryUrl);
  const redis = new Redis(url);
  await redis.config('SET', 'masterauth', decodeURIComponent(password));
  await redis.replicaof(hostname, Number(port));
  redis.disconnect();
}
