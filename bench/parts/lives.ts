// Whole lives of tasks, with and without nine webhooks. The baseline is the same number of bare Koa requests, EVALSHAs, BullMQ
// jobs and, with webhooks, HMACs and HTTP requests.

import { Queue } from 'bullmq';
import { v7 } from 'uuid';
import { LIFE_REQUESTS, QUEUE, QUEUE_PREFIX } from '../bare-life.ts';
import { inTurns, lives, settled, until } from '../measures.ts';
import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, Client, createOrg, exampleTaskBody, startApi } from '../stage.ts';

const LIVES = 400;
const WORKERS = 30;
const WHAT = 'bare Koa, EVALSHA and BullMQ';

export async function measureLives(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const receiver = await stage.start('bench/receiver.js');
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const bareWeb = await stage.start('bench/bare-web.js');
  const bareWorker = await stage.start('bench/bare-worker.js', { TARGET: target });
  const bare = new Client(String(bareWeb.ready.url), 60);
  const queues = [QUEUE, 'bare'].map(
    (name) => new Queue(name, { connection: stage.redis, prefix: QUEUE_PREFIX }),
  );
  const org = await createOrg(api, WORKERS, 4);
  const count = Math.max(100, Math.round(LIVES * scale));
  await lives(api, org, 200, target);
  // What one round leaves to do would slow down the next.
  const ours = (to: string | null) => async () => {
    const start = performance.now();
    await lives(api, org, count, to);
    if (to !== null) await settled(stage.redis);
    const taken = performance.now() - start;
    await settled(stage.redis);
    return (count * 1000) / taken;
  };
  const base = (query: string) => async () => {
    const body = exampleTaskBody(target);
    const start = performance.now();
    await inTurns(count, WORKERS, async () => {
      const id = v7();
      for (const { step } of LIFE_REQUESTS) await bare.call('POST', `/life/${step}/${id}${query}`, '', body);
    });
    await until(async () => {
      const counts = await Promise.all(queues.map((one) => one.getJobCounts('wait', 'active')));
      return counts.every(({ wait = 0, active = 0 }) => wait + active === 0);
    }, 20);
    return (count * 1000) / (performance.now() - start);
  };
  const measured = await inRounds(
    rounds,
    { without: ours(null), bare: base(''), hooked: ours(target), bareHooked: base('?webhooks') },
    true,
  );
  await Promise.all([...queues, api, bare].map((one) => one.close()));
  await Promise.all([worker, receiver, web, bareWeb, bareWorker].map((one) => one.stop()));
  return {
    rows: [
      row(['lives', '/s', 'higher'], measured.without, { what: WHAT, values: measured.bare }, 'ratio ≥ 0.5'),
      row(['lives with nine webhooks', '/s', 'higher'], measured.hooked, {
        what: `${WHAT}, HMAC and HTTP`,
        values: measured.bareHooked,
      }),
    ],
  };
}
