// The memory of Redis that a finished task of ten events takes (one of them a breach), with nine deliveries, and that a pending SLA
// timer takes. Counts of bytes, so that load on the machine has no effect.

import { bytesByFamily, type Family, type FamilyBytes } from './key-families.ts';
import { inTurns, settled, until, usedMemory, workOff } from './measures.ts';
import {
  type BenchEnvironment,
  type Client,
  createOrg,
  exampleTaskBody,
  type Org,
  startApi,
} from './stage.ts';

/** Families of what is there once however many tasks there are, or of a bounded number. */
const BOUNDED: ReadonlySet<Family> = new Set([
  'BullMQ',
  'offers and logs of workers',
  'statistics and others',
]);
/** Families of what a timer takes. */
const OF_TIMERS: readonly Family[] = ['due times', 'BullMQ'];

export interface TaskMemory {
  /** Bytes by which the memory in use grows with a finished task. */
  used: number;
  /** Bytes of the keys of a finished task. */
  families: FamilyBytes;
  /** Bytes of a timer that is not due yet. */
  timer: number;
  /** A task and its history as the API returns them. */
  task: unknown;
  history: unknown;
}

/** The bytes of a finished task in keys whose number or size grows with every task. */
export function taskBytes({ families }: TaskMemory): number {
  return [...families].reduce((sum, [family, bytes]) => sum + (BOUNDED.has(family) ? 0 : bytes), 0);
}

/**
 * Measures while as many tasks are added as there are already, so that the tables of Redis, which double, grow by the mean of what
 * they grow by for a task. The first tasks fill what is bounded, such as the offers of a worker.
 * @param tasks a power of 2, at least 256
 */
export async function measureTaskMemory(stage: BenchEnvironment, tasks: number): Promise<TaskMemory> {
  const { web, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const receiver = await stage.start('bench/receiver.js');
  const org = await createOrg(api, 1, 500);
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const [taskId = ''] = await play(stage, api, org, tasks, target);
  const [task, history] = await Promise.all(
    ['', '/events'].map((what) => api.call('GET', `/v1/tasks/${taskId}${what}`, org.api_key)),
  );
  const finished = await grown(stage, tasks, () => play(stage, api, org, tasks, target));
  const idle = await createOrg(api, 0, 0);
  const pending = await grown(stage, tasks, async () => {
    await inTurns(tasks, 8, () => api.call('POST', '/v1/tasks', idle.api_key, exampleTaskBody(null)));
    await settled(stage.redis);
  });
  const timer = OF_TIMERS.reduce((sum, family) => sum + (pending.families.get(family) ?? 0), 0);
  await Promise.all([worker.stop(), receiver.stop(), web.stop(), api.close()]);
  return { ...finished, timer, task, history };
}

/** Bytes a task by which memory and keys grow while `work` adds tasks. */
async function grown(
  stage: BenchEnvironment,
  tasks: number,
  work: () => Promise<unknown>,
): Promise<Pick<TaskMemory, 'used' | 'families'>> {
  const [used, before] = [await usedMemory(stage.redis), await bytesByFamily(stage.redis)];
  await work();
  const families: FamilyBytes = new Map();
  for (const [family, bytes] of await bytesByFamily(stage.redis))
    families.set(family, (bytes - (before.get(family) ?? 0)) / tasks);
  return { used: ((await usedMemory(stage.redis)) - used) / tasks, families };
}

/** Runs tasks to their end, past their target latency. @returns their ids */
async function play(
  stage: BenchEnvironment,
  api: Client,
  org: Org,
  tasks: number,
  target: string,
): Promise<string[]> {
  const ids: string[] = [];
  await inTurns(tasks, 8, async () => {
    played += 1;
    const body = exampleTaskBody(target, { latency: 1, requestId: `IR-${10_000 + played}` });
    const { task_id } = await api.call<{ task_id: string }>('POST', '/v1/tasks', org.api_key, body);
    ids.push(task_id);
  });
  await until(async () => {
    const [overdue] = await stage.redis.keys(`*:${org.org_id}:index:overdue:true`);
    return overdue !== undefined && (await stage.redis.zcard(overdue)) === tasks;
  }, 20);
  await workOff(api, org, tasks);
  for (const id of ids) await api.call('GET', `/v1/tasks/${id}?wait=30`, org.api_key);
  await settled(stage.redis);
  return ids;
}

/** Number of all tasks so far: each is for another request. */
let played = 0;
