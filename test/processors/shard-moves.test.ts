// The number of shards: processes must agree on it, and when it is changed the jobs are moved to their new shards.
import { expect, it, onTestFinished } from 'vitest';
import { bulkActionJob, deliveryJob, momentJob, retryJob } from '../../src/queues/new-jobs.ts';
import type { QueueShard } from '../../src/queues/queues.ts';
import { shardOfOrg } from '../../src/queues/shards.ts';
import { adoptShards, confirmShards, unsortedShards } from '../../src/store/maintenance/queue-layout.ts';
import { Heartbeat } from '../../src/store/metrics/heartbeat.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { partitionOf } from '../../src/store/redis/keys.ts';
import { addOrg, openTestDb } from '../support/db.ts';
import { openQueues, openSweeper } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';

const shared = await openTestDb();
const ownStore = (): Db => ({ ...shared, prefix: freshPrefix() });

async function beat(db: Db, queueShards: number): Promise<Heartbeat> {
  const heartbeat = new Heartbeat(db, { kind: 'worker', version: '1', queueShards });
  await heartbeat.start();
  onTestFinished(() => heartbeat.stop());
  return heartbeat;
}

/** The jobs of a shard: queue, id and state. */
async function jobsIn({ all }: QueueShard): Promise<string[]> {
  const found = await Promise.all(
    Object.values(all).map(async (queue) =>
      Promise.all(
        (await queue.getJobs()).map(async (job) => `${queue.name} ${job.id} ${await job.getState()}`),
      ),
    ),
  );
  return found.flat().sort();
}

it('is refused while processes with another number are alive, and agreed on otherwise', async () => {
  const db = ownStore();
  expect(await adoptShards(db, 4)).toBeNull();
  const alive = await beat(db, 4);
  expect(await adoptShards(db, 4)).toBeNull();
  expect(await adoptShards(db, 2)).toMatchObject({ shards: 4, others: [{ queueShards: 4 }] });
  await confirmShards(db, 4);
  await expect(confirmShards(db, 2)).rejects.toThrow('QUEUE_SHARDS is 2');
  await alive.stop();
  expect(await adoptShards(db, 2)).toBeNull();
  await confirmShards(db, 2);
  // The first change too: the highest number counts until all jobs are in their shards.
  expect(await unsortedShards(db)).toBe(4);
});

it.each([
  [1, 4],
  [4, 2],
])('from %i to %i moves every job to its shard, with its delay', async (before, after) => {
  const db = ownStore();
  await adoptShards(db, before);
  const old = openQueues(db, onTestFinished, before);
  const orgs = await Promise.all(Array.from({ length: 12 }, () => addOrg(db)));
  const now = db.clock.now();
  const due = now + 3600_000;
  const jobs = orgs.flatMap((org_id) => {
    const target = { org_id, task_id: org_id, sequence: 1 };
    return [
      bulkActionJob({ org_id, bulk_action_id: org_id }),
      deliveryJob(target),
      retryJob(target, due, now),
      momentJob({ partition: partitionOf(org_id), at: due }, now),
    ];
  });
  await old.add(jobs);
  // One is being run by a process that was killed.
  const locked = old.shards.find((one) => one.index === shardOfOrg(orgs[0] ?? '', before));
  const lock = `${locked?.all.bulk.toKey(jobs[0]?.opts.jobId ?? '')}:lock`;
  await db.redis.set(lock, 'token');
  await adoptShards(db, after);
  const queues = openQueues(db, onTestFinished, after);
  const sweeper = openSweeper(db, queues);
  await sweeper.sweep();
  const isMoved = shardOfOrg(orgs[0] ?? '', before) !== shardOfOrg(orgs[0] ?? '', after);
  expect(await unsortedShards(db)).toBe(isMoved ? before : 0);
  await db.redis.del(lock);
  await sweeper.sweep();
  for (const shard of queues.shards) {
    const own = jobs.filter(({ data }) => queues.shardOfJob(data).index === shard.index);
    const expected = own.map(
      ({ queue, opts }) =>
        `${queue} ${opts.jobId} ${queue === 'retries' || queue === 'sla' ? 'delayed' : 'waiting'}`,
    );
    // Orgs of a partition have the same moment.
    expect(await jobsIn(shard)).toEqual([...new Set(expected)].sort());
    const [delayed] = await shard.all.retries.getDelayed();
    if (delayed !== undefined) expect(Math.abs(delayed.timestamp + delayed.delay - due)).toBeLessThan(1000);
  }
  const former = await db.redis.keys(`?${db.prefix}-queues-[${after}-9]?:*`);
  expect(former).toEqual([]);
  expect(await unsortedShards(db)).toBe(0);
});
