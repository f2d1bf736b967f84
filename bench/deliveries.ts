// Deliveries: how many a second and a second of the worker's CPU, beside the baseline; on how many connections;
// how soon after the commit their first bytes are there; and what an endpoint that hangs costs a healthy one.

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Queues } from '../src/queues/queues.ts';
import { PREFIX } from '../src/runtime/process.ts';
import { PARTITIONS, partitionKeys } from '../src/store/redis/keys.ts';
import { inTurns, settled, until } from './measures.ts';
import { type Child, Client, cardBody, createOrg, type Org, type Stage } from './stage.ts';

export interface Delivered {
  per_second: number;
  /** Deliveries by a second of CPU of the worker process; null where the system does not tell. */
  per_cpu_second: number | null;
  /** Share of the requests that came on a connection that was open already. */
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

/** Resolves once the receiver has had `count`. @throws Error after `limit` ms. */
async function hasHad(receiver: Client, count: number, limit = 120_000): Promise<Received> {
  const end = performance.now() + limit;
  for (;;) {
    const seen = await received(receiver);
    if (seen.count >= count) return seen;
    if (performance.now() > end) throw new Error(`only ${seen.count} of ${count} arrived`);
    await sleep(50);
  }
}

/** Seconds of CPU that a process has used (proc_pid_stat(5)); null where there is no /proc. */
async function cpuOf({ pid }: Child): Promise<number | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // Fields 14 and 15, in ticks of a hundredth; the name before them may hold blanks.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return null;
  }
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
 * Deliveries of BioLayer: `count` tasks owe one event each. As with the baseline, whose jobs are there before its
 * worker starts, a first worker process has relayed and tried to match them all meanwhile, so that nothing but
 * deliveries is measured.
 */
export async function deliveries(
  stage: Stage,
  web: Child,
  count: number,
  delayMs: number,
): Promise<Delivered> {
  const receiver = await stage.start('bench/receiver.js', { DELAY_MS: String(delayMs) });
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const api = new Client(String(web.ready.url), 20);
  const org = await createOrg(api, 0, 1);
  const body = cardBody(target, { events: ['task.created'] });
  const queues = new Queues(stage.redis, PREFIX, Date.now);
  const { webhooks, lifecycle } = queues.all;
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
  // What a process costs until it is ready is not of its deliveries; the first are made by then.
  const before = await cpuOf(worker);
  const client = new Client(target, 1);
  const result = await measured(client, worker, before, count);
  await Promise.all([worker.stop(), receiver.stop(), client.close(), api.close()]);
  await queues.close();
  return result;
}

/** Deliveries of the baseline, from the same number of jobs added before its worker starts. */
export async function bareDeliveries(stage: Stage, count: number, delayMs: number): Promise<Delivered> {
  const receiver = await stage.start('bench/receiver.js', { DELAY_MS: String(delayMs) });
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const queue = new Queue('bare', { connection: stage.redis, prefix: '{bare}' });
  const data = { type: 'task.created', data: cardBody(target) };
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
 * How long after the commit the first byte is at the receiver, at half of what web, worker and receiver together
 * carry: from creating tasks until all is done that follows from it, matching and deliveries alike.
 */
export async function latencyAtHalfLoad(
  stage: Stage,
  web: Child,
  seconds: number,
): Promise<Latency & { reuse: number }> {
  const receiver = await stage.start('bench/receiver.js');
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const worker = await stage.start('src/worker.js');
  const api = new Client(String(web.ready.url), 60);
  const org = await createOrg(api, 0, 1);
  const client = new Client(target, 1);
  const body = cardBody(target, { events: ['task.created', 'task.queued'] });
  const create = () => api.call('POST', '/v1/tasks', org.api_key, body);
  // Both processes warm, and the connections open; then as many as they carry.
  await inTurns(500, 20, create);
  await hasHad(client, 1000);
  await settled(stage.redis);
  const start = performance.now();
  const burst = seconds * 200;
  await inTurns(burst, 20, create);
  await hasHad(client, 1000 + 2 * burst);
  // What were left to do would be there beside the half load.
  await settled(stage.redis);
  const rate = (burst * 1000) / (performance.now() - start);
  // At this load too until the code is as fast as it gets.
  const before = await paced(rate / 2, seconds / 3, create);
  await hasHad(client, 1000 + 2 * (burst + before));
  await client.call('DELETE', '/', '');
  const made = await paced(rate / 2, seconds, create);
  const seen = await hasHad(client, 2 * made);
  await Promise.all([worker.stop(), receiver.stop(), client.close(), api.close()]);
  const { p50_ms, p99_ms, count, connections } = seen;
  return { per_second: (2 * made) / seconds, p50_ms, p99_ms, reuse: 1 - connections / count };
}

/** Does `work` `rate` times a second, come what may. @returns how often. */
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
 * What a healthy endpoint sees of one that hangs: p99 from commit to first byte, alone, and with `queued`
 * deliveries to an endpoint of another org that never answers.
 */
export async function besideHanging(
  stage: Stage,
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
  const body = cardBody(null);
  const measure = async (): Promise<Latency> => {
    await seen.call('DELETE', '/', '');
    const made = await paced(rate, seconds, () => api.call('POST', '/v1/tasks', good.api_key, body));
    const { p50_ms, p99_ms } = await hasHad(seen, made);
    return { per_second: made / seconds, p50_ms, p99_ms };
  };
  await measure();
  const alone = await measure();
  await inTurns(queued, 20, () => api.call('POST', '/v1/tasks', bad.api_key, body));
  // All are owed, and all questions about the tasks asked: what is left is the deliveries that hang.
  const queues = new Queues(stage.redis, PREFIX, Date.now);
  await until(async () => {
    const left = PARTITIONS.map((one) => stage.redis.xlen(partitionKeys(PREFIX, one).outbox));
    const { waiting = 0, prioritized = 0, active = 0 } = await queues.all.lifecycle.getJobCounts();
    return (await Promise.all(left)).every((one) => one === 0) && waiting + prioritized + active === 0;
  });
  const beside = await measure();
  const attempted = (await received(hung)).count;
  await Promise.all([healthy, hanging].map((one) => one.stop()));
  await Promise.all([worker.stop(), seen.close(), hung.close(), api.close(), queues.close()]);
  return { alone, beside, attempted };
}
