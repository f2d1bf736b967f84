// A store with its own key prefix on the Redis of the suite, and helpers that write workers, pools and tasks to it and
// inspect it, without the API.
import type { Redis } from 'ioredis';
import { afterAll } from 'vitest';
import type { Command } from '../../src/state/tasks/command.ts';
import type { HistoryEntry } from '../../src/state/tasks/event.ts';
import { isFinal } from '../../src/state/tasks/lifecycle.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import type { Pool, Worker } from '../../src/state/workers/worker.ts';
import { changeTask, createTask } from '../../src/store/commands/change.ts';
import { orgWrites } from '../../src/store/identity/orgs.ts';
import { RedisClock } from '../../src/store/redis/clock.ts';
import { commit } from '../../src/store/redis/commit.ts';
import { type Db, whenReady } from '../../src/store/redis/connection.ts';
import { newId } from '../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { loadHistory, loadTask } from '../../src/store/tasks/tasks.ts';
import { poolWrites } from '../../src/store/workers/pools.ts';
import { loadWorker, workerWrites } from '../../src/store/workers/workers.ts';
import { freshPrefix, openRedis } from './redis.ts';
import { type InputChange, sampleInput, samplePool, sampleWorker } from './tasks.ts';

/** A store on one server. */
export interface TestDb extends Db {
  redis: Redis;
}

/** Opens a store with its own key prefix; called at the top level of a file or a `describe`. */
export async function openTestDb(prefix = freshPrefix()): Promise<TestDb> {
  const redis = openRedis();
  await whenReady(redis);
  const clock = new RedisClock(redis);
  await clock.start();
  afterAll(() => {
    clock.stop();
    redis.disconnect();
  });
  return { redis, prefix, clock };
}

/** A new org id, without any records. */
export function freshOrg(db: Db): string {
  return newId(db.clock.now());
}

/** Stores an org, so that walks over all tenants find it. @returns its id. */
export async function addOrg(db: Db): Promise<string> {
  const org_id = freshOrg(db);
  const now = db.clock.now();
  const org = { org_id, version: 1, name: 'Org', webhook_secrets: [], created_at: now, updated_at: now };
  await commit(db.redis, orgWrites(db, 0, org));
  return org_id;
}

/** Creates a worker. @throws Error when the org has one with that id. */
export async function addWorker(db: Db, orgId: string, change: Partial<Worker> = {}): Promise<Worker> {
  const now = db.clock.now();
  const stamps = { idle_since: now, created_at: now, updated_at: now };
  const worker = sampleWorker({ org_id: orgId, ...stamps, ...change });
  if (!(await commit(db.redis, workerWrites(db, null, worker))))
    throw new Error(`worker ${worker.worker_id} is there already`);
  return worker;
}

/** Changes a worker whatever their version; null removes them. */
export async function changeWorker(
  db: Db,
  orgId: string,
  id: string,
  change: Partial<Worker> | null,
): Promise<void> {
  for (;;) {
    const before = await workerOf(db, orgId, id);
    const now = db.clock.now();
    const after =
      change === null ? null : { ...before, ...change, version: before.version + 1, updated_at: now };
    if (await commit(db.redis, workerWrites(db, before, after))) return;
  }
}

export async function addPool(db: Db, orgId: string, change: Partial<Pool> = {}): Promise<Pool> {
  const pool = samplePool({ org_id: orgId, ...change });
  if (!(await commit(db.redis, poolWrites(db, null, pool))))
    throw new Error(`pool ${pool.pool_id} is there already`);
  return pool;
}

/** Creates a queued task. */
export async function addTask(db: Db, orgId: string, change: InputChange = {}): Promise<Task> {
  const created = await createTask(db, sampleInput({ ...change, org_id: orgId }), {
    org_id: orgId,
    actor: 'system',
  });
  if (!created.ok) throw new Error(created.message);
  return created.task;
}

/** Applies commands to a task in one commit. @throws Error when they are refused. */
export async function applyCommands(db: Db, task: Task, ...commands: Command[]): Promise<Task> {
  const changed = await changeTask(db, task.org_id, task.task_id, commands, { actor: 'system' });
  if (!changed.ok) throw new Error(`${commands.map((one) => one.name)}: ${changed.code}, ${changed.message}`);
  return changed.task;
}

/** Offers the task to these workers. */
export function offerTo(db: Db, task: Task, ids: readonly string[], life = 60_000): Promise<Task> {
  const now = db.clock.now();
  const offers = ids.map((worker_id) => ({ offer_id: newId(now), worker_id, expires_at: now + life }));
  return applyCommands(db, task, { name: 'match', worker_ids: [...ids] }, { name: 'offer', offers });
}

/** Id of the current offer to a worker. @throws Error when there is none. */
export function offerIdOf(task: Task, workerId: string): string {
  const offer = task.offers.find((one) => one.worker_id === workerId);
  if (offer === undefined) throw new Error(`no offer to ${workerId}`);
  return offer.offer_id;
}

/** Offers the task to each worker in turn, who declines it: three events of two commits for each. */
export async function declineAll(db: Db, task: Task, ids: readonly string[]): Promise<Task> {
  let now = task;
  for (const worker_id of ids) {
    const offered = await offerTo(db, now, [worker_id]);
    const offer_id = offerIdOf(offered, worker_id);
    now = await applyCommands(db, offered, { name: 'decline', offer_id, worker_id, reason: null });
  }
  return now;
}

export function accept(db: Db, task: Task, workerId: string): Promise<Task> {
  return applyCommands(db, task, {
    name: 'accept',
    offer_id: offerIdOf(task, workerId),
    worker_id: workerId,
  });
}

/** Accepts, starts and submits a task that is offered to the worker. */
export async function workThrough(db: Db, task: Task, workerId: string): Promise<Task> {
  const accepted = await accept(db, task, workerId);
  const started = await applyCommands(db, accepted, { name: 'start', worker_id: workerId });
  const submission = { output: 'done', evidence: [], notes: null };
  return applyCommands(db, started, { name: 'submit', worker_id: workerId, submission });
}

/** The current task. @throws Error when there is none. */
export async function taskOf(db: Db, orgId: string, taskId: string): Promise<Task> {
  const stored = await loadTask(db, orgId, taskId);
  if (stored === null) throw new Error(`no task ${taskId}`);
  return stored.task;
}

/** The current worker. @throws Error when there is none. */
export async function workerOf(db: Db, orgId: string, id: string): Promise<Worker> {
  const worker = await loadWorker(db, orgId, id);
  if (worker === null) throw new Error(`no worker ${id}`);
  return worker;
}

export function historyOf(db: Db, task: { org_id: string; task_id: string }): Promise<HistoryEntry[]> {
  return loadHistory(db, task.org_id, task.task_id);
}

/** Differences between a task and its entries in status indexes, matching queues and due times; [] for none. */
export async function indexErrors(db: Db, task: Task): Promise<string[]> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const found: string[] = [];
  const statuses = await db.redis.keys(`${keys.index('status:').replace(/[{}]/g, '?')}*`);
  for (const key of statuses) {
    const stands = (await db.redis.zscore(key, task.task_id)) !== null;
    if (stands !== (key === keys.index(`status:${task.status}`))) found.push(`${key}: ${stands}`);
  }
  const matchingQueues = await db.redis.keys(`${keys.matchingQueue('').replace(/[{}]/g, '?')}*`);
  let waits = 0;
  for (const key of matchingQueues)
    for (const position of await db.redis.zrange(key, 0, '-1'))
      if (position.endsWith(task.task_id)) waits += 1;
  if (waits !== (task.status === 'queued' ? 1 : 0)) found.push(`is in ${waits} matching queues`);
  const isDue = (await db.redis.zscore(keys.due, `${task.org_id} ${task.task_id}`)) !== null;
  if (isDue && isFinal(task.status)) found.push('is due although it is final');
  return found;
}
