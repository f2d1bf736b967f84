// The cost of `DURABILITY=replicated`: creates that two replicas confirm, against the same creates with the same replicas.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startEmbeddedRedis } from '../src/runtime/embedded-redis.ts';
import { type Cell, creates, emptied, type Measured, type Rate } from './measures.ts';
import { type BenchEnvironment, type Child, Client, createOrg } from './stage.ts';

const REPLICAS = 2;

export async function measureDurability(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const seconds = Math.max(2, Math.round(8 * scale));
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
    const rates = new Map<Child, Rate[]>();
    for (const web of [local, replicated, replicated, local]) {
      await emptied(stage.redis);
      const url = String(web.ready.url);
      const api = new Client(url, 1);
      const { api_key } = await createOrg(api, 0, 1);
      await api.close();
      await creates(`${url}/v1/tasks`, api_key, seconds, 32);
      const rate = await creates(`${url}/v1/tasks`, api_key, seconds, 32);
      rates.set(web, [...(rates.get(web) ?? []), rate]);
    }
    await Promise.all([local.stop(), replicated.stop()]);
    const row = (what: string, field: keyof Rate): Cell[] => {
      const [ours, base] = [replicated, local].map((web) => {
        const all = rates.get(web) ?? [];
        return all.reduce((sum, one) => sum + one[field], 0) / all.length;
      });
      return [what, Math.round(ours ?? 0), Math.round(base ?? 0), ((ours ?? 0) / (base ?? 1)).toFixed(2)];
    };
    return {
      figures: { replicated: rates.get(replicated), local: rates.get(local) },
      rows: [
        row(`creates /s that ${REPLICAS} replicas confirm (base: local)`, 'per_second'),
        row('creates p99 ms that they confirm (base: local)', 'p99_ms'),
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
