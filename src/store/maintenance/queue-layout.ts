// How many shards the queues have. The number is part of the data: a process with another one would add jobs where nobody looks
// for them. It can be changed while no other process runs; the jobs in their old shards are moved afterwards
// (`processors/shard-moves.ts`).

import { type AliveProcess, processesAlive } from '../metrics/heartbeat.ts';
import type { Db } from '../redis/connection.ts';

/** Shards of data that were stored before their number was recorded. */
const UNRECORDED = 1;

interface Layout {
  /** Number of shards. */
  shards: number;
  /** Shards from 0 that may hold jobs of another shard, because the number was changed; 0: none. */
  unsorted: number;
}

/** Hash: `n` number of shards, `u` as `unsorted` above. */
function keyOf(db: Db): string {
  return `${db.prefix}:queue-shards`;
}

async function readLayout(db: Db): Promise<Layout> {
  const [shards, unsorted] = await db.redis.hmget(keyOf(db), 'n', 'u');
  return { shards: Number(shards ?? UNRECORDED), unsorted: Number(unsorted ?? 0) };
}

/** Replaces a layout, unless it is no longer `from`. */
async function replaceLayout(db: Db, from: Layout, to: Layout): Promise<boolean> {
  const script = `
    local n = redis.call('HGET', KEYS[1], 'n') or ARGV[1]
    if n ~= ARGV[2] or (redis.call('HGET', KEYS[1], 'u') or '0') ~= ARGV[3] then return 0 end
    redis.call('HSET', KEYS[1], 'n', ARGV[4], 'u', ARGV[5])
    return 1`;
  const values = [UNRECORDED, from.shards, from.unsorted, to.shards, to.unsorted];
  return (await db.redis.eval(script, 1, keyOf(db), ...values)) === 1;
}

/**
 * Makes `shards` the number of shards, unless processes with another number are alive.
 * @returns null, or the recorded number with the processes that keep it from being changed.
 */
export async function adoptShards(
  db: Db,
  shards: number,
): Promise<{ shards: number; others: AliveProcess[] } | null> {
  const layout = await readLayout(db);
  const others = async () => (await processesAlive(db)).filter((one) => one.queueShards !== shards);
  const before = await others();
  if (before.length > 0) return { shards: layout.shards, others: before };
  const isNew = layout.shards !== shards;
  const unsorted = isNew ? Math.max(layout.unsorted, layout.shards) : layout.unsorted;
  // Another process makes the same change at this moment, or has moved the last job.
  if (!(await replaceLayout(db, layout, { shards, unsorted }))) return adoptShards(db, shards);
  // One that started meanwhile read the old number after its heartbeat had begun.
  const after = isNew ? await others() : [];
  if (after.length === 0) return null;
  await replaceLayout(db, { shards, unsorted }, layout);
  return { shards: layout.shards, others: after };
}

/** @throws Error when another number of shards is recorded. Called when the heartbeat of the process has begun. */
export async function confirmShards(db: Db, shards: number): Promise<void> {
  const recorded = await db.redis.hget(keyOf(db), 'n');
  if (recorded !== null && Number(recorded) !== shards)
    throw new Error(`QUEUE_SHARDS is ${shards}, but was just changed to ${recorded} by another process`);
}

/** Shards from 0 that may hold jobs of another shard; 0: none. */
export async function unsortedShards(db: Db): Promise<number> {
  return (await readLayout(db)).unsorted;
}

/** Records that all jobs are in their shards. @param shards their number, if it has not changed meanwhile. */
export async function markSorted(db: Db, shards: number, unsorted: number): Promise<void> {
  await replaceLayout(db, { shards, unsorted }, { shards, unsorted: 0 });
}
