// Which processes are alive.
import { expect, it } from 'vitest';
import { Heartbeat, partitionsKnown, processesAlive } from '../../../src/store/metrics/heartbeat.ts';
import { openTestDb } from '../../support/db.ts';

const db = await openTestDb();

it('shows the processes that beat, until they stop or their entry ends', async () => {
  const [web, worker, killed] = [
    new Heartbeat(db, { kind: 'web', version: '1.0.0', queueShards: 4 }),
    new Heartbeat(db, {
      kind: 'worker',
      version: '1.0.0',
      queueShards: 4,
      takes: { queues: ['sla', 'bulk'], shards: [0, 3] },
    }),
    new Heartbeat(db, { kind: 'worker', version: '0.9.0', queueShards: 4 }),
  ];
  await Promise.all([web, worker, killed].map((one) => one.start()));
  const alive = async () =>
    (await processesAlive(db)).map(({ kind, version }) => `${kind} ${version}`).sort();
  expect(await alive()).toEqual(['web 1.0.0', 'worker 0.9.0', 'worker 1.0.0']);
  expect(await processesAlive(db)).toContainEqual({
    kind: 'worker',
    version: '1.0.0',
    queueShards: 4,
    partitions: 256,
    takes: { queues: ['sla', 'bulk'], shards: [0, 3] },
  });
  expect(await partitionsKnown(db)).toBe(256);
  const key = `${db.prefix}:processes`;
  expect(await db.redis.pttl(key)).toBeGreaterThan(0);
  const old = (await db.redis.zrange(key, 0, '-1')).find((one) => one.startsWith('worker 0.9.0')) ?? '';
  await db.redis.zadd(key, db.clock.now() - 1, old);
  expect(await alive()).toEqual(['web 1.0.0', 'worker 1.0.0']);
  await worker.stop();
  expect(await alive()).toEqual(['web 1.0.0']);
  // One of a release that knew 16 partitions.
  await db.redis.zadd(key, db.clock.now() + 10_000, 'worker 0.8.0 0b2c4a52-7f5e-4a39-9a5b-9a0a4f2b7c11 4');
  expect(await partitionsKnown(db)).toBe(16);
  await web.stop();
  await killed.stop();
});
