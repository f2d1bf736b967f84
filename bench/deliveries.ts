// Deliveries: the rate per second and per CPU second of the worker process, compared with the baseline; the reuse of
// connections; the latency from commit to first byte; and the effect of an endpoint that hangs on a healthy one.

import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Queues } from '../src/queues/queues.ts';
import { PREFIX } from '../src/runtime/process.ts';
import { PARTITIONS, partitionKeys } from '../src/store/redis/keys.ts';
import { inTurns, settled, until } from './measures.ts';
import { cpuMicroseconds } from './processes.ts';
import { type BenchEnvironment, type Child, Client, createOrg, exampleTaskBody, type Org } from './stage.ts';

export interface Delivered {
  per_second: number;
  /** Deliveries per CPU second of the worker process; null where it is not known. */
  per_cpu_second: number | null;
  /** Share of requests on a reused connection. */
  reuse: number;
}

interface Received {
  count: number;
  first: number;
  last: number;
  connections: number;
  p50_ms: number;
  p99_ms: number;
}

const received = (receiver: Client) => receiver.call<Received>('GET', '/', '');

/** Waits until the receiver has `count` requests. @throws Error after `limit` ms. */
async function hasHad(receiver: Client, count: number, limit = 120_000): Promise<Received> {
  const end = performance.now() + limit;
  for (;;) {
    const seen = await received(receiver);
    if (seen.count >= count) return seen;
    if (performance.now() > end) throw new Error(`only ${seen.count} of ${count} arrived`);
    await sleep(50);
  }
}

/** CPU seconds that a process has used; null without /proc. */
export async function cpuOf({ pid }: Child): Promise<number | null> {
  const used = await cpuMicroseconds(pid);
  return used === null ? null : used / 1e6;
}

async function measured(client: Client, worker: Child, before: number | null, count: number) {
  const seen = await hasHad(client, count);
  const after = await cpuOf(worker);
  return {
    per_second: ((seen.count - 1) * 1000) / (seen.last - seen.first),
    per_cpu_second: before === null || after === null ? null : count / (after - before),
    reuse: 1 - seen.connections / seen.count,
  };
}

/**
 * Deliveries of BioLayer: `count` tasks with one event each. As in the baseline, the jobs exist before the measured worker
 * process starts: a first process has relayed and matched all tasks, so that only deliveries are measured.
 */
export async function deliveries(
  stage: BenchEnvironment,
  web: Child,
  count: number,
  delayMs: number,
): Promise<Delivered> {
  const receiver = await stage.start('bench/receiver.js', { DELAY_MS: String(delayMs) });
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const api = new Client(String(web.ready.url), 20);
  const org = await createOrg(api, 0, 1);
  const body = exampleTaskBody(target, { events: ['task.created'] });
  const queues = new Queues({ connectionOf: () => stage.redis, prefix: PREFIX, now: Date.now });
  const { webhooks, lifecycle } = queues.shards[0].all;
  await webhooks.pause();
  await inTurns(count, 20, () => api.call('POST', '/v1/tasks', org.api_key, body));
  const first = await stage.start('src/worker.js');
  for (const queue of [webhooks, lifecycle]) {
    const rest = queue === webhooks ? count : 0;
    await until(async () => {
      const { waiting = 0, paused = 0, prioritized = 0, active = 0 } = await queue.getJobCounts();
      return waiting + paused + prioritized + active === rest;
    });
  }
  await first.stop();
  await webhooks.resume();
  const worker = await stage.start('src/worker.js');
  // The start of the process is not part of the measurement.
  const before = await cpuOf(worker);
  const client = new Client(target, 1);
  const result = await measured(client, worker, before, count);
  await Promise.all([worker.stop(), receiver.stop(), client.close(), api.close()]);
  await queues.close();
  return result;
}

/** Deliveries of the baseline, from the same number of jobs that exist before its worker starts. */
export async function bareDeliveries(
  stage: BenchEnvironment,
  count: number,
  delayMs: number,
): Promise<Delivered> {
  const receiver = await stage.start('bench/receiver.js', { DELAY_MS: String(delayMs) });
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const queue = new Queue('bare', { connection: stage.redis, prefix: '{bare}' });
  const data = { type: 'task.created', data: exampleTaskBody(target) };
  for (let added = 0; added < count; added += 500)
    await queue.addBulk(
      Array.from({ length: Math.min(500, count - added) }, () => ({ name: 'deliver', data })),
    );
  const worker = await stage.start('bench/bare-deliverer.js', { TARGET: target });
  const before = await cpuOf(worker);
  const client = new Client(target, 1);
  const result = await measured(client, worker, before, count);
  await Promise.all([worker.stop(), receiver.stop(), client.close(), queue.close()]);
  return result;
}

export interface Latency {
  per_second: number;
  p50_ms: number;
  p99_ms: number;
}

/**
 * Latency from commit to first byte, at half of the highest rate that web, worker and receiver can sustain together,
 * including matching and deliveries.
 */
export async function latencyAtHalfLoad(
  stage: BenchEnvironment,
  web: Child,
  seconds: number,
): Promise<Latency & { reuse: number }> {
  const receiver = await stage.start('bench/receiver.js');
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const worker = await stage.start('src/worker.js');
  const api = new Client(String(web.ready.url), 60);
  const org = await createOrg(api, 0, 1);
  const client = new Client(target, 1);
  const body = exampleTaskBody(target, { events: ['task.created', 'task.queued'] });
  const create = () => api.call('POST', '/v1/tasks', org.api_key, body);
  // Warms up both processes and opens the connections, then measures the highest rate.
  await inTurns(500, 20, create);
  await hasHad(client, 1000);
  await settled(stage.redis);
  const start = performance.now();
  const burst = seconds * 200;
  await inTurns(burst, 20, create);
  await hasHad(client, 1000 + 2 * burst);
  // Remaining work would add to the half load.
  await settled(stage.redis);
  const rate = (burst * 1000) / (performance.now() - start);
  // Warms up at this load too.
  const before = await paced(rate / 2, seconds / 3, create);
  await hasHad(client, 1000 + 2 * (burst + before));
  await client.call('DELETE', '/', '');
  const made = await paced(rate / 2, seconds, create);
  const seen = await hasHad(client, 2 * made);
  await Promise.all([worker.stop(), receiver.stop(), client.close(), api.close()]);
  const { p50_ms, p99_ms, count, connections } = seen;
  return { per_second: (2 * made) / seconds, p50_ms, p99_ms, reuse: 1 - connections / count };
}

/** Starts `work` `rate` times a second, regardless of earlier calls. @returns the number of calls. */
async function paced(rate: number, seconds: number, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  const all: Promise<unknown>[] = [];
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - start) {
    while (all.length < (rate * elapsed) / 1000) all.push(work());
    await sleep(5);
  }
  await Promise.all(all);
  return all.length;
}

/**
 * The effect of an endpoint that hangs on a healthy one: p99 from commit to first byte, alone, and with `queued`
 * deliveries to an endpoint of another org that never responds.
 */
export async function besideHanging(
  stage: BenchEnvironment,
  web: Child,
  queued: number,
  seconds: number,
): Promise<{ alone: Latency; beside: Latency; attempted: number }> {
  const rate = 100;
  const api = new Client(String(web.ready.url), 60);
  const [healthy, hanging] = await Promise.all([
    stage.start('bench/receiver.js'),
    stage.start('bench/receiver.js', { HANG: '1' }),
  ]);
  const register = async (receiver: Child, events: string[]): Promise<Org> => {
    const org = await createOrg(api, 0, 1);
    const url = `http://127.0.0.1:${receiver.ready.port}`;
    await api.call('POST', '/v1/webhook-endpoints', org.api_key, { url, events });
    return org;
  };
  const good = await register(healthy, ['task.created']);
  const bad = await register(hanging, ['task.created']);
  const worker = await stage.start('src/worker.js');
  const [seen, hung] = [healthy, hanging].map(
    ({ ready }) => new Client(`http://127.0.0.1:${ready.port}`, 1),
  ) as [Client, Client];
  const body = exampleTaskBody(null);
  const measure = async (): Promise<Latency> => {
    await seen.call('DELETE', '/', '');
    const made = await paced(rate, seconds, () => api.call('POST', '/v1/tasks', good.api_key, body));
    const { p50_ms, p99_ms } = await hasHad(seen, made);
    return { per_second: made / seconds, p50_ms, p99_ms };
  };
  await measure();
  const alone = await measure();
  await inTurns(queued, 20, () => api.call('POST', '/v1/tasks', bad.api_key, body));
  // Waits until all deliveries are enqueued and all checks have run, so that only the deliveries that hang remain.
  const queues = new Queues({ connectionOf: () => stage.redis, prefix: PREFIX, now: Date.now });
  await until(async () => {
    const left = PARTITIONS.map((one) => stage.redis.xlen(partitionKeys(PREFIX, one).outbox));
    const { waiting = 0, prioritized = 0, active = 0 } = await queues.shards[0].all.lifecycle.getJobCounts();
    return (await Promise.all(left)).every((one) => one === 0) && waiting + prioritized + active === 0;
  });
  const beside = await measure();
  const attempted = (await received(hung)).count;
  await Promise.all([healthy, hanging].map((one) => one.stop()));
  await Promise.all([worker.stop(), seen.close(), hung.close(), api.close(), queues.close()]);
  return { alone, beside, attempted };
}
