// Latency at half of the highest rate that web, worker and receiver sustain together: from the commit of an event to the
// start of its delivery, and to the first byte at the receiver. The baseline of a job is a bare request that writes one
// change and adds a job of BullMQ, at the same rate.

import { Queue } from 'bullmq';
import { v7 } from 'uuid';
import { QUEUE_PREFIX } from '../bare-life.ts';
import { inTurns, paced, settled, until } from '../measures.ts';
import { hasHad } from '../receivers.ts';
import { inRounds, type Measured, quantile, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, Client, createOrg, exampleTaskBody, startApi } from '../stage.ts';

/** Tasks of a round whose deliveries are read. */
const SAMPLE = 200;

interface Latencies {
  job_p50: number;
  job_p99: number;
  byte_p50: number;
  byte_p99: number;
}

export async function measureLatency(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const receiver = await stage.start('bench/receiver.js');
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const worker = await stage.start('src/worker.js');
  const bareWeb = await stage.start('bench/bare-web.js');
  const bareWorker = await stage.start('bench/bare-worker.js', { TARGET: target });
  const bare = new Client(String(bareWeb.ready.url), 60);
  const queue = new Queue('bare', { connection: stage.redis, prefix: QUEUE_PREFIX });
  const org = await createOrg(api, 0, 1);
  const client = new Client(target, 1);
  const body = exampleTaskBody(target, { events: ['task.created', 'task.queued'] });
  const create = () => api.call<{ task_id: string }>('POST', '/v1/tasks', org.api_key, body);
  const burst = Math.max(300, Math.round(1500 * scale));
  const reset = () => client.call('DELETE', '/', '');
  // Warms up and opens the connections, then measures the highest rate.
  await inTurns(burst, 20, create);
  await hasHad(client, 2 * burst);
  await settled(stage.redis);
  await reset();
  const start = performance.now();
  await inTurns(burst, 20, create);
  await hasHad(client, 2 * burst);
  const rate = (burst * 1000) / (performance.now() - start) / 2;
  await settled(stage.redis);
  const seconds = Math.max(1, 2 * scale);
  const measured = await inRounds(
    rounds,
    {
      ours: async (): Promise<Latencies> => {
        await reset();
        const tasks: string[] = [];
        const made = await paced(rate, seconds, async () => {
          tasks.push((await create()).task_id);
        });
        const { p50_ms, p99_ms } = await hasHad(client, 2 * made);
        await settled(stage.redis);
        const starts: number[] = [];
        await inTurns(SAMPLE, 10, async () => {
          const id = tasks.pop();
          if (id !== undefined) starts.push(...(await startsOf(api, org.api_key, id)));
        });
        return { ...shares(starts), byte_p50: p50_ms, byte_p99: p99_ms };
      },
      bare: async (): Promise<Latencies> => {
        await reset();
        const made = await paced(rate, seconds, () =>
          bare.call('POST', `/life/accept/${v7()}?webhooks`, '', body),
        );
        const { p50_ms, p99_ms } = await hasHad(client, made);
        await until(async () => (await queue.getActiveCount()) === 0, 20);
        const jobs = await queue.getCompleted(0, Math.min(made, 2 * SAMPLE) - 1);
        const starts = jobs.map(({ processedOn = 0, timestamp }) => processedOn - timestamp);
        return { ...shares(starts), byte_p50: p50_ms, byte_p99: p99_ms };
      },
    },
    true,
  );
  await Promise.all([api.close(), bare.close(), client.close(), queue.close()]);
  await Promise.all([worker, receiver, web, bareWeb, bareWorker].map((one) => one.stop()));
  const of = (name: 'ours' | 'bare', field: keyof Latencies) => measured[name].map((one) => one[field]);
  const compared = (name: string, what: string, field: keyof Latencies, aim: string) =>
    row([name, 'ms', 'lower'], of('ours', field), { what, values: of('bare', field) }, aim);
  const [job, byte] = ['a job of BullMQ, from its addition', 'a job of BullMQ, HMAC and HTTP'];
  return {
    rows: [
      compared('commit to start of the job, p50', job, 'job_p50', '≤ 3 ms'),
      compared('commit to start of the job, p99', job, 'job_p99', '≤ 15 ms'),
      compared('commit to first byte, p50', byte, 'byte_p50', ''),
      compared('commit to first byte, p99', byte, 'byte_p99', ''),
    ],
  };
}

/** Times from the commit of each event of a task to the first attempt of its delivery, ms. */
async function startsOf(api: Client, key: string, taskId: string): Promise<number[]> {
  const read = async <T>(what: string) =>
    (await api.call<{ data: T[] }>('GET', `/v1/tasks/${taskId}/${what}`, key)).data;
  const events = await read<{ event_id: string; at: string }>('events');
  const found = await read<{ event_id: string; attempts: { at: string }[] }>('deliveries');
  return found.flatMap(({ event_id, attempts: [first] }) => {
    const event = events.find((one) => one.event_id === event_id);
    return event === undefined || first === undefined ? [] : [Date.parse(first.at) - Date.parse(event.at)];
  });
}

function shares(starts: readonly number[]): Pick<Latencies, 'job_p50' | 'job_p99'> {
  return { job_p50: quantile(starts, 0.5), job_p99: quantile(starts, 0.99) };
}
