// Whole lives of tasks, with and without nine webhooks. The baseline is the same number of bare Koa requests, EVALSHAs, BullMQ
// jobs and, with webhooks, HMACs and HTTP requests.

import { Queue } from 'bullmq';
import { v7 } from 'uuid';
import { LIFE_REQUESTS, QUEUE, QUEUE_PREFIX } from '../bare-life.ts';
import { inTurns, lives, settled, until } from '../measures.ts';
import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, Client, createOrg, exampleTaskBody, startApi } from '../stage.ts';

const LIVES = 400;
/** Lives of a full run, of each kind of process, after which V8 has optimised most of what serves them. */
const WARM_UP_LIVES = 2000;
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
  // Until the last task is verified and delivered, as the baseline until its last job has run.
  const ours = (to: string | null) => async () => {
    const start = performance.now();
    await lives(api, org, count, to);
    await settled(stage.redis);
    return (count * 1000) / (performance.now() - start);
  };
  const base =
    (query: string, amount = count) =>
    async () => {
      const body = exampleTaskBody(target);
      const start = performance.now();
      await inTurns(amount, WORKERS, async () => {
        const id = v7();
        for (const { step } of LIFE_REQUESTS)
          await bare.call('POST', `/life/${step}/${id}${query}`, '', body);
      });
      await until(async () => {
        const counts = await Promise.all(queues.map((one) => one.getJobCounts('wait', 'active')));
        return counts.every(({ wait = 0, active = 0 }) => wait + active === 0);
      }, 20);
      return (amount * 1000) / (performance.now() - start);
    };
  const warmUp = Math.ceil(WARM_UP_LIVES * Math.max(0.2, scale));
  for (const to of [null, target]) {
    await lives(api, org, to === null ? warmUp : warmUp / 10, to);
    await settled(stage.redis);
    await base(to === null ? '' : '?webhooks', warmUp)();
  }
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
