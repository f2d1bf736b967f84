// What the parts have in common: load on a route, lives of tasks, and waiting until nothing is left to do.

import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import type { Redis } from 'ioredis';
import { type Client, exampleTaskBody, type Org } from './stage.ts';

export interface Rate {
  per_second: number;
  p50_ms: number;
  p99_ms: number;
}

export interface Load {
  url: string;
  credential: string;
  /** Sent by POST; without it, the requests are GET. */
  body?: unknown;
  connections: number;
}

/** Sends requests for `seconds`, as fast as possible or at a rate. @throws Error unless all succeed */
export async function requests({
  seconds,
  rate,
  ...load
}: Load & { seconds: number; rate?: number | undefined }): Promise<Rate> {
  const start = performance.now();
  const result = await autocannon({
    ...target(load),
    duration: seconds,
    ...(rate !== undefined && { overallRate: rate }),
  });
  const taken = performance.now() - start;
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} refused, ${result.errors} failed`);
  const { p50, p99 } = result.latency;
  return { per_second: (result['2xx'] * 1000) / taken, p50_ms: p50, p99_ms: p99 };
}

/** Requests of a full run after which V8 has optimised what serves them. Fewer show how fast it compiles, not how fast it runs. */
const WARM_UP_REQUESTS = 20_000;

/** Lets a new process serve requests until it is as fast as it gets. @param scale of the run; a quick one warms up less. */
export async function warmUp(load: Load, scale: number): Promise<void> {
  await autocannon({ ...target(load), amount: Math.ceil(WARM_UP_REQUESTS * Math.max(0.2, scale)) });
}

function target({ url, credential, body, connections }: Load) {
  return {
    url,
    method: body === undefined ? ('GET' as const) : ('POST' as const),
    connections,
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
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
  let end = start;
  const creating = inTurns(count, 8, () => api.call('POST', '/v1/tasks', org.api_key, body));
  await workOff(api, org, count, () => {
    end = performance.now();
  });
  await creating;
  return (count * 1000) / (end - start);
}

/** The workers of an org accept and finish what is offered to them, until `count` tasks are done. @param onDone after each */
export async function workOff(api: Client, org: Org, count: number, onDone = () => {}): Promise<void> {
  let left = count;
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
          onDone();
        }
      }
    }),
  );
}

/** Starts an accepted task and submits it. */
async function finish(api: Client, token: string, taskId: string): Promise<void> {
  await api.call('POST', `/v1/worker/tasks/${taskId}/start`, token);
  await api.call('POST', `/v1/worker/tasks/${taskId}/submit`, token, {
    output: { reached_user: true, user_confirmed: true, notes: 'Spoke to the owner; it was them.' },
  });
}

/** What work costs in Redis; round trips are reads of a socket. */
export interface Cost {
  commands: number;
  round_trips: number;
  bytes_in: number;
  bytes_out: number;
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

/** Waits until no delivery is pending, the outbox is empty and no job is waiting or running. @param within ms */
export async function settled(redis: Redis, within = TWO_MINUTES): Promise<void> {
  await until(
    async () => {
      const pending = await redis.keys('bl:{*}:pending-deliveries');
      const outbox = await redis.keys('bl:{*}:outbox');
      const lengths = await Promise.all(outbox.map((key) => redis.xlen(key)));
      const jobs = await redis.keys('{bl-queues*}:*');
      const busy = jobs.filter((key) => /:(wait|active|prioritized)$/.test(key));
      return pending.length + busy.length === 0 && lengths.every((length) => length === 0);
    },
    20,
    within,
  );
}

const TWO_MINUTES = 120_000;

/** Asks every `pause` ms until `isSo` returns true. @throws Error after `within` ms. */
export async function until(isSo: () => Promise<boolean>, pause = 100, within = TWO_MINUTES): Promise<void> {
  for (const end = performance.now() + within; performance.now() < end; ) {
    if (await isSo()) return;
    await sleep(pause);
  }
  throw new Error(`the condition was not met within ${within} ms`);
}

/** Bytes that Redis uses for its data, without the buffers of its clients and of its file, which change at any moment. */
export async function usedMemory(redis: Redis): Promise<number> {
  const info = await redis.info('memory');
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return field('used_memory') - field('mem_clients_normal') - field('mem_aof_buffer');
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

/** Starts `work` `rate` times a second, regardless of earlier calls. @returns the number of calls. */
export async function paced(rate: number, seconds: number, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  const all: Promise<unknown>[] = [];
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - start) {
    while (all.length < (rate * elapsed) / 1000) all.push(work());
    await sleep(5);
  }
  await Promise.all(all);
  return all.length;
}
