// Connections to the primary that sentinels name: after failovers, and with TLS and credentials.
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { preflight } from '../../../src/runtime/preflight.ts';
import { connectNear, whenReady } from '../../../src/store/redis/connection.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { readTopology, type Topology } from '../../../src/store/redis/topology.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { type SentinelOptions, type SentinelSystem, startSentinels } from '../../support/sentinels.ts';

const KINDS = ['request', 'patient'] as const;

async function started(options?: SentinelOptions): Promise<SentinelSystem> {
  const system = await startSentinels(options);
  onTestFinished(() => system.stop());
  return system;
}

async function connected(topology: Topology, kind: (typeof KINDS)[number]): Promise<Redis> {
  const redis = connectNear('', topology, kind, () => undefined);
  onTestFinished(() => redis.disconnect());
  await whenReady(redis);
  return redis;
}

/** Waits until every connection writes to this port. */
async function writeTo(all: readonly Redis[], port: number): Promise<void> {
  for (const redis of all)
    await expect
      .poll(async () => [redis.stream?.remotePort, await redis.set('key', '1').catch(String)], {
        timeout: 12_000,
      })
      .toEqual([port, 'OK']);
}

test('connections find the new primary although the first sentinel is frozen when it changes', async () => {
  const system = await started({ replicas: 1 });
  const topology = readTopology(system.url);
  const kinds = [...KINDS, ...KINDS, ...KINDS, ...KINDS];
  const all = await Promise.all(kinds.map((kind) => connected(topology, kind)));
  const [first, second] = system.nodes;
  const before = await system.primary();
  // The connections ask it first and wait two seconds for its answer; meanwhile the others tell of the change.
  system.sentinels[0]?.freeze();
  for (const redis of all) redis.stream.destroy();
  await system.failOver();
  await writeTo(all, (before === first ? second : first)?.port ?? 0);
});

test('a failover by hand moves connections, and the blocking duplicates that BullMQ makes of them', async () => {
  const system = await started({ replicas: 1 });
  const redis = await connected(readTopology(system.url), 'patient');
  const duplicate = redis.duplicate();
  onTestFinished(() => duplicate.disconnect());
  const popped = duplicate.blpop('list', 20);
  await system.failOver();
  const after = await system.primary();
  await writeTo([redis], after.port);
  await redis.rpush('list', 'x');
  expect(await popped).toEqual(['list', 'x']);
});

test('TLS with a client certificate, and users of the data nodes and of the sentinels', async () => {
  const { files, tls } = await makeCertificate();
  const system = await started({
    replicas: 1,
    tls: files,
    settings: [
      'user default off',
      'user app on >p@ss:word ~* &* +@all',
      'masteruser app',
      'masterauth p@ss:word',
    ],
    sentinelSettings: [
      'sentinel auth-user mymaster app',
      'sentinel auth-pass mymaster p@ss:word',
      'user default off',
      'user watcher on >guard &* +@all',
      'sentinel sentinel-user watcher',
      'sentinel sentinel-pass guard',
    ],
    sentinelUser: { username: 'watcher', password: 'guard' },
  });
  const url = system.url.replace('://', '://app:p%40ss%3Aword@');
  const sentinel = { sentinelUsername: 'watcher', sentinelPassword: 'guard' };
  const redis = await connected(readTopology(`${url}?db=3`, { tls, ...sentinel }), 'request');
  expect(await redis.call('ACL', 'WHOAMI')).toBe('app');
  expect(await redis.client('INFO')).toContain(' db=3 ');

  const start = (topology: Topology) => {
    const log = { info: () => undefined, warn: () => undefined };
    const sealer = createSealer([Buffer.alloc(32)]);
    return preflight({ redis: topology, sealer, lostKey: undefined, log, reachLimit: 0 });
  };
  await start(readTopology(url, { tls, ...sentinel }));
  await expect(start(readTopology(url, { tls }))).rejects.toThrow(/^a sentinel refuses SENTINEL_USERNAME/);
  await expect(start(readTopology(url.replace('word', 'sword'), { tls, ...sentinel }))).rejects.toThrow(
    /^Redis at mymaster of the sentinels 127\.0\.0\.1:\d+,.* rejects the user or password in REDIS_URL$/,
  );
  await expect(start(readTopology(url.replace('mymaster', 'other'), { tls, ...sentinel }))).rejects.toThrow(
    /does not answer \(failed to connect to sentinel .* No such master with that name\)/,
  );
  await expect(start(readTopology(url, sentinel))).rejects.toThrow(
    /does not answer \(failed to connect to sentinel/,
  );
});
