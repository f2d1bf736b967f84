// The large form of a check of test/processors/sweeper.test.ts, with the processes of a deployment: many timers whose queue is
// lost. FAULT_LOST_TIMERS sets their number.

import type { BioLayer, CreateTaskBody } from '@biolayer/sdk';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { Queues } from '../../src/queues/queues.ts';
import { PARTITIONS, partitionKeys } from '../../src/store/redis/keys.ts';
import { deleteKeys, newOrg, pause } from './suite/scene.ts';
import { createMany } from './suite/size-faults.ts';
import { startSystem } from './system.ts';

const COUNT = Number(process.env.FAULT_LOST_TIMERS ?? 100_000);
const MINUTE = 60_000;
/** The prefix of all keys. */
const PREFIX = 'bl';
/** Orgs that have the timers; each has a partition of its own, as a rule. */
const ORGS = 4;
/** Share of the timers that are due at one instant; the others are due over the two minutes after it. */
const AT_ONCE = 0.2;
const SECONDS = 120;
/** Tasks whose creation shows how long that of the timers takes. */
const PROBE = 2000;
/** A timer that is overdue for so long should have a job, ms. */
const OVERDUE = 1000;

const openRedis = (url: string) => {
  const redis = new Redis(url);
  onTestFinished(() => redis.disconnect());
  return redis;
};

/** Follows the partitions that have overdue timers and no job that runs them soon. */
function watchPartitions(redis: Redis) {
  const queues = new Queues({ connectionOf: () => redis, prefix: PREFIX, shards: 1, now: Date.now });
  const unscheduled = new Map<string, number>();
  /** The longest time that a partition was without a job, ms, and the most timers that were at an instant. */
  const seen = { longest: 0, most: 0 };
  const look = async () => {
    const { sla } = queues.shards[0].all;
    const now = Date.now();
    const jobs = await sla.getJobs(['active', 'waiting', 'prioritized', 'delayed']);
    // BullMQ's lists change while they are read.
    const soon = jobs.filter((job) => job?.name === 'moment' && job.data.at <= now + 2000);
    const scheduled = new Set(soon.map((job) => job.data.partition));
    const dueOf = (partition: string) => partitionKeys(PREFIX, partition).due;
    const overdue = await Promise.all(PARTITIONS.map((one) => redis.zcount(dueOf(one), 0, now - OVERDUE)));
    let count = 0;
    for (const [index, partition] of PARTITIONS.entries())
      if (overdue[index] === 0 || scheduled.has(partition)) unscheduled.delete(partition);
      else {
        const since = unscheduled.get(partition) ?? now - OVERDUE;
        unscheduled.set(partition, since);
        seen.longest = Math.max(seen.longest, now - since);
        count += overdue[index] ?? 0;
      }
    seen.most = Math.max(seen.most, count);
    return overdue.reduce((sum, one) => sum + one, 0);
  };
  return { seen, look, close: () => queues.close() };
}

/** How often each task of the org has had an event of this type, and how long after `dueOf` the task the latest was, ms. */
async function eventsOf(api: BioLayer, type: string) {
  const times = new Map<string, number>();
  let latest = 0;
  const query = { types: [type], limit: 200 };
  for await (const event of api.events.list(query as Parameters<typeof api.events.list>[0])) {
    const { task_id, at, data } = event as unknown as {
      task_id: string;
      at: string;
      data: { due_at?: string };
    };
    times.set(task_id, (times.get(task_id) ?? 0) + 1);
    if (data.due_at !== undefined) latest = Math.max(latest, Date.parse(at) - Date.parse(data.due_at));
    if (times.size === COUNT) break;
  }
  return { times: [...times.values()], latest };
}

test(
  `${COUNT} timers of a lost queue have jobs again within a minute, and each runs once`,
  async () => {
    const system = await startSystem();
    onTestFinished(() => system.stop());
    const redis = openRedis(system.redisUrl);
    const orgs: BioLayer[] = [];
    for (let nth = 0; nth < ORGS; nth += 1) orgs.push((await newOrg(system, `Timers ${nth}`)).api);
    const { api: probe } = await newOrg(system, 'Probe');
    const begun = performance.now();
    await createMany(probe, PROBE, {});
    const expected = ((performance.now() - begun) / PROBE) * COUNT;
    const first = Math.ceil((Date.now() + 1.5 * expected + 10_000) / 1000) * 1000;
    const create = async (api: BioLayer | undefined, count: number, due: number) => {
      const timed: Partial<CreateTaskBody> = {
        sla: { urgency: 'low', deadline: new Date(due).toISOString() },
        requirements: { skills: ['none'] },
      };
      if (api !== undefined) await createMany(api, count, timed);
    };
    for (const api of orgs) await create(api, (AT_ONCE * COUNT) / ORGS, first);
    let left = COUNT * (1 - AT_ONCE);
    for (let second = 1; second <= SECONDS; second += 1) {
      const count = Math.round(left / (SECONDS - second + 1));
      await create(orgs[second % ORGS], count, first + second * 1000);
      left -= count;
    }
    expect(Date.now()).toBeLessThan(first);
    await pause(first + 1000 - Date.now());
    const { seen, look, close } = watchPartitions(redis);
    onTestFinished(close);
    const deleted = await deleteKeys(redis, '{bl-queues*');
    const lost = Date.now();
    const overdueThen = await look();
    for (let overdue = 1; overdue > 0 || Date.now() < first + SECONDS * 1000 + 2 * OVERDUE; ) {
      await pause(500);
      overdue = await look();
      if (Date.now() > lost + 10 * MINUTE) break;
    }
    const took = (Date.now() - lost) / 1000;
    const breaches = await Promise.all(orgs.map((api) => eventsOf(api, 'task.sla_breached')));
    const failures = await Promise.all(orgs.map((api) => eventsOf(api, 'task.failed')));
    const latest = Math.max(...breaches.map((one) => one.latest)) / 1000;
    console.log(
      `${COUNT} timers, ${deleted} keys deleted, ${overdueThen} timers overdue then; ` +
        `at most ${seen.most} overdue timers without a job, for at most ${(seen.longest / 1000).toFixed(1)} s; ` +
        `latest check ${latest.toFixed(1)} s after its time, all run ${took.toFixed(1)} s after the loss`,
    );
    for (const all of [breaches, failures]) {
      const times = all.flatMap((one) => one.times);
      expect(times.filter((count) => count !== 1)).toEqual([]);
      expect(times).toHaveLength(COUNT);
    }
    expect(seen.longest).toBeLessThan(MINUTE);
  },
  30 * MINUTE,
);
