// The measurements. Values that are compared are measured in the same run, because the speed of the machine varies more
// than most differences.

import autocannon from 'autocannon';
import type { Redis } from 'ioredis';
import { type BenchEnvironment, type Client, exampleTaskBody, type Org } from './stage.ts';

export type Cell = string | number;

export interface Measured {
  /** Goes into the JSON document, under the name of the part. */
  figures: unknown;
  /** Rows of four cells: name, our value, the baseline, their ratio. */
  rows: Cell[][];
}

export interface Rate {
  per_second: number;
  p50_ms: number;
  p99_ms: number;
}

/** Creates per second over `seconds` on `connections` connections. @throws Error unless all succeed. */
export async function creates(
  url: string,
  credential: string,
  seconds: number,
  connections: number,
): Promise<Rate> {
  const result = await autocannon({
    url,
    method: 'POST',
    connections,
    duration: seconds,
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    body: JSON.stringify(exampleTaskBody(null)),
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} refused, ${result.errors} failed`);
  return { per_second: result.requests.average, p50_ms: result.latency.p50, p99_ms: result.latency.p99 };
}

/** Runs `count` tasks from creation to completion through the API with the workers of an org. @returns tasks per second. */
export async function lives(
  api: Client,
  org: Org,
  count: number,
  callbackUrl: string | null,
): Promise<number> {
  const body = exampleTaskBody(callbackUrl);
  const start = performance.now();
  let done = 0;
  let end = start;
  const creating = inTurns(count, 8, () => api.call('POST', '/v1/tasks', org.api_key, body));
  await Promise.all(
    org.workers.map(async (token) => {
      while (done < count) {
        const offers = await api.call<{ data: { offer_id: string; task_id: string }[] }>(
          'GET',
          '/v1/worker/offers?wait=1',
          token,
        );
        for (const { offer_id, task_id } of offers.data) {
          await api.call('POST', `/v1/worker/offers/${offer_id}/accept`, token);
          await finish(api, token, task_id);
          done += 1;
          end = performance.now();
        }
      }
    }),
  );
  await creating;
  return (count * 1000) / (end - start);
}

async function finish(api: Client, token: string, taskId: string): Promise<void> {
  await api.call('POST', `/v1/worker/tasks/${taskId}/start`, token);
  await api.call('POST', `/v1/worker/tasks/${taskId}/submit`, token, {
    output: { reached_user: true, user_confirmed: true, notes: 'Spoke to the owner; it was them.' },
  });
}

export interface Cost {
  commands: number;
  round_trips: number;
  bytes_in: number;
  bytes_out: number;
}

/** Cost of `work` for Redis, per task: commands, socket reads (round trips) and bytes, minus those of an idle system. */
export async function cost(redis: Redis, tasks: number, work: () => Promise<unknown>): Promise<Cost> {
  const idleStart = await counters(redis);
  const idleFor = 2000;
  await new Promise((resolve) => setTimeout(resolve, idleFor));
  const idle = difference(await counters(redis), idleStart);
  const before = await counters(redis);
  const start = performance.now();
  await work();
  const share = (performance.now() - start) / idleFor;
  const used = difference(await counters(redis), before);
  const of = (name: keyof Cost) => Math.round((used[name] - idle[name] * share) / tasks);
  return {
    commands: of('commands'),
    round_trips: of('round_trips'),
    bytes_in: of('bytes_in'),
    bytes_out: of('bytes_out'),
  };
}

async function counters(redis: Redis): Promise<Cost> {
  const stats = await redis.info('stats');
  const read = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
  return {
    commands: read('total_commands_processed'),
    round_trips: read('total_reads_processed'),
    bytes_in: read('total_net_input_bytes'),
    bytes_out: read('total_net_output_bytes'),
  };
}

function difference(after: Cost, before: Cost): Cost {
  return {
    commands: after.commands - before.commands,
    round_trips: after.round_trips - before.round_trips,
    bytes_in: after.bytes_in - before.bytes_in,
    bytes_out: after.bytes_out - before.bytes_out,
  };
}

/** Redis memory of a finished task with ten events (including a breach) and its deliveries, bytes. */
export async function memoryPerTask(
  stage: BenchEnvironment,
  api: Client,
  org: Org,
  count: number,
  target: string,
): Promise<number> {
  const play = async (tasks: number) => {
    const body = exampleTaskBody(target, { latency: 1 });
    const ids: string[] = [];
    await inTurns(tasks, 8, async () => {
      const { task_id } = await api.call<{ task_id: string }>('POST', '/v1/tasks', org.api_key, body);
      ids.push(task_id);
    });
    // Waits until every task has breached its target latency.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    let left = tasks;
    await Promise.all(
      org.workers.map(async (token) => {
        while (left > 0) {
          const offers = await api.call<{ data: { offer_id: string; task_id: string }[] }>(
            'GET',
            '/v1/worker/offers?wait=1',
            token,
          );
          for (const { offer_id, task_id } of offers.data) {
            await api.call('POST', `/v1/worker/offers/${offer_id}/accept`, token);
            await finish(api, token, task_id);
            left -= 1;
          }
        }
      }),
    );
    for (const id of ids) await api.call('GET', `/v1/tasks/${id}?wait=30`, org.api_key);
    await settled(stage.redis);
  };
  // First fills bounded keys (BullMQ's finished jobs and event streams), so that only growing ones are measured.
  await play(600);
  const before = await usedMemory(stage.redis);
  await play(count);
  return Math.round(((await usedMemory(stage.redis)) - before) / count);
}

/**
 * Empties Redis and its AOF, and switches off the automatic rewrite of the AOF, which would slow down the measurement that
 * writes most.
 */
export async function emptied(redis: Redis): Promise<void> {
  const isWritten = async () =>
    !/aof_rewrite_(in_progress|scheduled):1/.test(await redis.info('persistence'));
  await redis.config('SET', 'auto-aof-rewrite-percentage', '0');
  await redis.flushall();
  await until(isWritten);
  await redis.bgrewriteaof();
  await until(isWritten);
}

/** Waits until no delivery is pending, the outbox is empty and no job is waiting or running. */
export async function settled(redis: Redis): Promise<void> {
  await until(async () => {
    const pending = await redis.keys('bl:{*}:pending-deliveries');
    const outbox = await redis.keys('bl:{*}:outbox');
    const lengths = await Promise.all(outbox.map((key) => redis.xlen(key)));
    const jobs = await redis.keys('{bl-queues*}:*');
    const busy = jobs.filter((key) => /:(wait|active|prioritized)$/.test(key));
    return pending.length + busy.length === 0 && lengths.every((length) => length === 0);
  });
}

/** Waits until `isSo` returns true. @throws Error after two minutes. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1200; tries += 1) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the condition was not met within two minutes');
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0);
}

/** Runs `work` `count` times, `width` at the same time. */
export async function inTurns(count: number, width: number, work: () => Promise<unknown>): Promise<void> {
  let left = count;
  const turn = async () => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: width }, turn));
}
