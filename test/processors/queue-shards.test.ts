// Queues in several shards, and worker processes that take some of the queues and shards.
import { describe, expect, it, onTestFinished } from 'vitest';
import { ParallelLimit } from '../../src/processors/parallel-limit.ts';
import { bulkActionJob } from '../../src/queues/new-jobs.ts';
import { allShards, partitionsOf, shardOfOrg } from '../../src/queues/shards.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { PARTITIONS } from '../../src/store/redis/keys.ts';
import { addOrg, addTask, addWorker, openTestDb, taskOf } from '../support/db.ts';
import { openQueues, outboxLength, runProcessors } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';

const shared = await openTestDb();
const ownStore = (): Db => ({ ...shared, prefix: freshPrefix() });
const SOON = { timeout: 15_000 };

/** Adds orgs until one is in the shard. */
async function orgInShard(db: Db, shard: number, shards: number): Promise<string> {
  for (;;) {
    const org = await addOrg(db);
    if (shardOfOrg(org, shards) === shard) return org;
  }
}

describe('the shards of queues', () => {
  it('have every partition once, and the jobs of its orgs under their own hash tag', async () => {
    for (const shards of [1, 3, 16])
      expect(
        allShards(shards)
          .flatMap((one) => partitionsOf([one], shards))
          .sort(),
      ).toEqual(PARTITIONS);
    const db = ownStore();
    const queues = openQueues(db, onTestFinished, 3);
    const orgs = await Promise.all(allShards(3).map((shard) => orgInShard(db, shard, 3)));
    await queues.add(orgs.map((org_id) => bulkActionJob({ org_id, bulk_action_id: org_id })));
    const waiting = await Promise.all(
      queues.named('bulk').map(async (queue) => (await queue.getWaiting()).map(({ data }) => data.org_id)),
    );
    expect(waiting).toEqual(orgs.map((org) => [org]));
    const tags = queues.shards.map(({ all }) => all.bulk.toKey('wait').match(/\{.*\}/)?.[0]);
    expect(tags).toEqual([0, 1, 2].map((n) => `{${db.prefix}-queues${n === 0 ? '' : `-${n}`}}`));
  });

  it('are worked by the processes that take them, outbox included', async () => {
    const db = ownStore();
    const [taken, other] = [await orgInShard(db, 0, 2), await orgInShard(db, 1, 2)];
    const tasks = await Promise.all([taken, other].map((org) => addTask(db, org)));
    await Promise.all([taken, other].map((org) => addWorker(db, org)));
    const statuses = () =>
      Promise.all(tasks.map(async ({ org_id, task_id }) => (await taskOf(db, org_id, task_id)).status));
    await runProcessors(db, { queueShards: 2, workerQueues: new Map([['webhooks', 3]]) });
    await runProcessors(db, { queueShards: 2, workerShards: [0] });
    await expect.poll(statuses, SOON).toEqual(['offered', 'queued']);
    expect(await outboxLength(db)).toBeGreaterThan(0);
    await runProcessors(db, {
      queueShards: 2,
      workerShards: [1],
      workerQueues: new Map([['lifecycle', null]]),
    });
    await expect.poll(statuses, SOON).toEqual(['offered', 'offered']);
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
  });

  it('share the number of parallel jobs of their process', async () => {
    const limit = new ParallelLimit(2);
    const ends: (() => void)[] = [];
    let running = 0;
    const run = limit.counted(async () => {
      running += 1;
      await new Promise<void>((resolve) => ends.push(resolve));
      running -= 1;
    });
    const fetched = allShards(5).map(() => limit.whenFree(async () => void run()));
    for (let left = fetched.length; left > 0; left -= 1) {
      await expect.poll(() => running).toBe(Math.min(left, 2));
      ends.shift()?.();
    }
    await Promise.all(fetched);
    await expect.poll(() => running).toBe(0);
  });
});
