// Deliveries: the rate per second and per CPU second of the worker process, to receivers of different speed, and the reuse
// of connections; of those that wait in their queue, and of those whose events wait for the relay. The baseline is a BullMQ
// job, an HMAC and one HTTP POST. Both are measured after as many deliveries that do not count: by then a process has opened its
// connections, and V8 has optimised most of what sends.

import { Queue } from 'bullmq';
import { Queues } from '../../src/queues/queues.ts';
import { PREFIX } from '../../src/runtime/process.ts';
import { inTurns, until } from '../measures.ts';
import { cpuMicroseconds } from '../processes.ts';
import { hasHad } from '../receivers.ts';
import { inRounds, type Measured, type Row, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, type Child, Client, createOrg, exampleTaskBody, startApi } from '../stage.ts';

/** Deliveries of a round that count; as many come before them. */
const COUNT = 1000;
/** The times that receivers take, ms. */
const DELAYS = [0, 50];

interface Delivered {
  per_second: number;
  /** Deliveries per CPU second of the worker process; null where it is not known. */
  per_cpu_second: number | null;
  /** Share of requests on a reused connection. */
  reuse: number;
}

/** Goals: 0.7 of the baseline, per CPU second too; 95 % of the requests on reused connections. */
export async function measureDeliveries(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const rows: Row[] = [];
  const count = Math.max(200, Math.round(COUNT * scale));
  for (const delay of DELAYS) {
    const measured = await inRounds(rounds, {
      bare: () => bareDeliveries(stage, count, delay),
      queued: () => deliveries(stage, web, count, delay, 'queued'),
      relayed: () => deliveries(stage, web, count, delay, 'relayed'),
    });
    const bare = measured.bare;
    for (const [way, ours] of [
      ['from the queue', measured.queued],
      ['with their relay', measured.relayed],
    ] as const) {
      const of = (all: Delivered[], field: keyof Delivered) => all.map((one) => one[field] ?? Number.NaN);
      const compared = (what: string, unit: string, field: keyof Delivered, aim: string) =>
        row(
          [`${what}, ${way}, receiver ${delay} ms`, unit, 'higher'],
          of(ours, field),
          { what: 'BullMQ, HMAC and HTTP', values: of(bare, field) },
          aim,
        );
      rows.push(compared('deliveries', '/s', 'per_second', 'ratio ≥ 0.7'));
      if (ours.every((one) => one.per_cpu_second !== null))
        rows.push(compared('deliveries by CPU', '/CPU s', 'per_cpu_second', 'ratio ≥ 0.7'));
      rows.push(compared('on open connections', 'share', 'reuse', '≥ 0.95'));
    }
  }
  await Promise.all([web.stop(), api.close()]);
  return { rows };
}

/** CPU seconds that a process has used; null without /proc. */
async function cpuOf({ pid }: Child): Promise<number | null> {
  const used = await cpuMicroseconds(pid);
  return used === null ? null : used / 1e6;
}

/** The second half of the `2 * count` deliveries that a worker process has begun to send. */
async function secondHalf(client: Client, worker: Child, count: number): Promise<Delivered> {
  const first = await hasHad(client, count, { pause: 5 });
  const before = await cpuOf(worker);
  const all = await hasHad(client, 2 * count);
  const after = await cpuOf(worker);
  const counted = all.count - first.count;
  return {
    per_second: (counted * 1000) / (all.last - first.last),
    per_cpu_second: before === null || after === null ? null : counted / (after - before),
    reuse: 1 - (all.connections - first.connections) / counted,
  };
}

/**
 * Deliveries of BioLayer: `2 * count` tasks with one event each, before the measured worker process starts.
 * @param way `queued`: a first process, which takes no deliveries, has relayed all of them to their queue, so that, as in the
 *   baseline, the jobs exist; `relayed`: their events are in the outbox, and the measured process relays them, too
 */
async function deliveries(
  stage: BenchEnvironment,
  web: Child,
  count: number,
  delayMs: number,
  way: 'queued' | 'relayed',
): Promise<Delivered> {
  const receiver = await stage.start('bench/receiver.js', { DELAY_MS: String(delayMs) });
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const api = new Client(String(web.ready.url), 20);
  const org = await createOrg(api, 0, 1);
  const body = exampleTaskBody(target, { events: ['task.created'] });
  await inTurns(2 * count, 20, () => api.call('POST', '/v1/tasks', org.api_key, body));
  if (way === 'queued') await relayToQueue(stage, 2 * count);
  const worker = await stage.start('src/worker.js');
  const client = new Client(target, 1);
  const result = await secondHalf(client, worker, count);
  await Promise.all([worker.stop(), receiver.stop(), client.close(), api.close()]);
  return result;
}

/** Relays what waits, and ends when so many deliveries are in their queue. */
async function relayToQueue(stage: BenchEnvironment, count: number): Promise<void> {
  const relaying = await stage.start('src/worker.js', { QUEUES: 'lifecycle,sla' });
  const queues = new Queues({ connectionOf: () => stage.redis, prefix: PREFIX, now: Date.now });
  const { webhooks, lifecycle } = queues.shards[0].all;
  await until(async () => (await webhooks.getWaitingCount()) === count && (await lifecycle.count()) === 0);
  await relaying.stop();
  await queues.close();
}

/** Deliveries of the baseline, from the same number of jobs, which exist before its worker starts. */
async function bareDeliveries(stage: BenchEnvironment, count: number, delayMs: number): Promise<Delivered> {
  const receiver = await stage.start('bench/receiver.js', { DELAY_MS: String(delayMs) });
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const queue = new Queue('bare', { connection: stage.redis, prefix: '{bare}' });
  const data = { type: 'task.created', data: exampleTaskBody(target) };
  for (let added = 0; added < 2 * count; added += 500)
    await queue.addBulk(
      Array.from({ length: Math.min(500, 2 * count - added) }, () => ({ name: 'deliver', data })),
    );
  const worker = await stage.start('bench/bare-worker.js', { TARGET: target });
  const client = new Client(target, 1);
  const result = await secondHalf(client, worker, count);
  await Promise.all([worker.stop(), receiver.stop(), client.close(), queue.close()]);
  return result;
}
