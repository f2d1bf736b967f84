// Deliveries: the rate per second and per CPU second of the worker process, to receivers of different speed, and the reuse
// of connections; of those that wait in their queue, and of those whose events wait for the relay. The baseline is a BullMQ
// job, an HMAC and one HTTP POST.

import { Queue } from 'bullmq';
import { Queues } from '../../src/queues/queues.ts';
import { PREFIX } from '../../src/runtime/process.ts';
import { inTurns, until } from '../measures.ts';
import { cpuMicroseconds } from '../processes.ts';
import { hasHad } from '../receivers.ts';
import { inRounds, type Measured, type Row, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, type Child, Client, createOrg, exampleTaskBody, startApi } from '../stage.ts';

/** Deliveries of a round, by the time that the receiver takes, ms. */
const COUNTS: [delay: number, count: number][] = [
  [0, 1000],
  [50, 600],
];

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
  for (const [delay, full] of COUNTS) {
    const count = Math.max(200, Math.round(full * scale));
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
 * Deliveries of BioLayer: `count` tasks with one event each, before the measured worker process starts.
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
  await inTurns(count, 20, () => api.call('POST', '/v1/tasks', org.api_key, body));
  if (way === 'queued') await relayToQueue(stage, count);
  const worker = await stage.start('src/worker.js');
  // The start of the process is not part of the measurement.
  const before = await cpuOf(worker);
  const client = new Client(target, 1);
  const result = await measured(client, worker, before, count);
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

/** Deliveries of the baseline, from the same number of jobs that exist before its worker starts. */
async function bareDeliveries(stage: BenchEnvironment, count: number, delayMs: number): Promise<Delivered> {
  const receiver = await stage.start('bench/receiver.js', { DELAY_MS: String(delayMs) });
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const queue = new Queue('bare', { connection: stage.redis, prefix: '{bare}' });
  const data = { type: 'task.created', data: exampleTaskBody(target) };
  for (let added = 0; added < count; added += 500)
    await queue.addBulk(
      Array.from({ length: Math.min(500, count - added) }, () => ({ name: 'deliver', data })),
    );
  const worker = await stage.start('bench/bare-worker.js', { TARGET: target });
  const before = await cpuOf(worker);
  const client = new Client(target, 1);
  const result = await measured(client, worker, before, count);
  await Promise.all([worker.stop(), receiver.stop(), client.close(), queue.close()]);
  return result;
}
