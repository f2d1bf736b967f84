// Moves jobs to their shards after the number of shards was changed, and deletes the shards that no longer exist. A job is first
// added to its shard and then removed, so it may run twice like any other, but is not lost.

import type { Job, Queue } from 'bullmq';
import { QUEUES, type QueueName } from '../queues/catalogue.ts';
import { delayedUntil, type QueueShard, type Queues } from '../queues/queues.ts';
import { markSorted, unsortedShards } from '../store/maintenance/queue-layout.ts';
import type { Db } from '../store/redis/connection.ts';
import type { Log } from '../store/redis/log.ts';
import type { MayContinue } from './periodic-task.ts';

const UNFINISHED = ['wait', 'prioritized', 'delayed', 'active', 'failed'] as const;
/** Jobs that are read at a time. */
const PAGE = 200;

interface Move {
  db: Db;
  queues: Queues;
  log: Log;
}

/** Moves the jobs that are in another shard than their own. Does nothing unless the number of shards was changed. */
export async function moveJobs({ db, queues, log }: Move, mayContinue: MayContinue): Promise<void> {
  const unsorted = await unsortedShards(db);
  if (unsorted === 0) return;
  const count = queues.shards.length;
  const { moved, left } = await queues.withShards(unsorted, async (shards) => {
    const total = { moved: 0, left: 0 };
    for (const shard of shards.slice(0, unsorted))
      for (const name of QUEUES) {
        const one = await moveQueue(queues, shard, name, db.clock.now());
        total.moved += one.moved;
        total.left += one.left;
        if (!(await mayContinue())) return { ...total, left: total.left + 1 };
      }
    if (total.left === 0)
      for (const { all } of shards.slice(count))
        for (const queue of Object.values(all)) await queue.obliterate({ force: true });
    return total;
  });
  log.info({ moved, left, shards: count }, 'moved jobs to their shards');
  if (left === 0) await markSorted(db, count, unsorted);
}

/** @returns how many jobs were moved, and how many have to wait because they are running. */
async function moveQueue(queues: Queues, from: QueueShard, name: QueueName, now: number) {
  const queue = from.all[name];
  const found = { moved: 0, left: 0 };
  for (const state of UNFINISHED)
    for (let start = 0, more = true; more; ) {
      const ids = await queue.getRanges([state], start, start + PAGE - 1, true);
      const outcomes = await Promise.all(ids.map((id) => moveJob(queues, from, name, id, now)));
      const count = (outcome: Outcome) => outcomes.filter((one) => one === outcome).length;
      found.moved += count('moved');
      found.left += count('left');
      start += ids.length - count('moved');
      more = ids.length === PAGE;
    }
  return found;
}

type Outcome = 'moved' | 'left' | 'stays';

async function moveJob(
  queues: Queues,
  from: QueueShard,
  name: QueueName,
  id: string,
  now: number,
): Promise<Outcome> {
  const queue = from.all[name];
  const job = await readJob(queue, id);
  // It has ended; or it cannot be read, and the sweeper adds another one.
  if (job === undefined) return 'stays';
  const to = queues.shardOfJob(job.data);
  if (to.index === from.index) return 'stays';
  const delay = Math.max(0, ((await delayedUntil(from, name, id)) ?? now) - now);
  await to.all[name].add(job.name, job.data, { ...job.opts, jobId: id, timestamp: now, delay });
  try {
    await job.remove();
    return 'moved';
  } catch {
    // A process runs it, or did a moment ago.
    return 'left';
  }
}

async function readJob(queue: Queue, id: string): Promise<Job | undefined> {
  try {
    return await queue.getJob(id);
  } catch {
    return undefined;
  }
}
