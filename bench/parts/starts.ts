// Processes: the time from `node` to ready, and the resident memory under load. The baselines are the bare processes of the
// benchmark, which import Koa, ioredis, Ajv and BullMQ.

import { requests } from '../measures.ts';
import { residentMegabytes } from '../processes.ts';
import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, createOrg, exampleTaskBody, startApi } from '../stage.ts';

export async function measureStarts(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const start = (file: string) => async () => {
    const begun = performance.now();
    const child = await stage.start(file);
    const taken = performance.now() - begun;
    await child.stop();
    return taken;
  };
  const started = await inRounds(
    rounds,
    {
      web: start('src/web.js'),
      worker: start('src/worker.js'),
      bareWeb: start('bench/bare-web.js'),
      bareWorker: start('bench/bare-worker.js'),
    },
    true,
  );
  const { web, url, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const bareWeb = await stage.start('bench/bare-web.js');
  const { api_key } = await createOrg(api, 0, 1);
  const load = { credential: api_key, body: exampleTaskBody(null), connections: 32 };
  const loaded = await inRounds(rounds, {
    ours: async () => {
      await requests({ ...load, url: `${url}/v1/tasks`, seconds: Math.max(1, 2 * scale) });
      return {
        web: await residentMegabytes(web.pid),
        worker: await residentMegabytes(worker.pid),
      };
    },
    bare: async () => {
      await requests({ ...load, url: `${bareWeb.ready.url}/same`, seconds: Math.max(1, 2 * scale) });
      return { web: await residentMegabytes(bareWeb.pid), worker: 0 };
    },
  });
  await Promise.all([...[web, worker, bareWeb].map((one) => one.stop()), api.close()]);
  const memory = (name: 'ours' | 'bare', kind: 'web' | 'worker') => loaded[name].map((one) => one[kind]);
  const [koa, bullmq] = ['Koa, ioredis, Ajv, BullMQ', 'ioredis, BullMQ'];
  return {
    rows: [
      row(
        ['start of a web process', 'ms', 'lower'],
        started.web,
        { what: koa, values: started.bareWeb },
        '≤ 1000',
      ),
      row(
        ['start of a worker process', 'ms', 'lower'],
        started.worker,
        { what: bullmq, values: started.bareWorker },
        '≤ 1000',
      ),
      row(
        ['resident memory of a web process under load', 'MB', 'lower'],
        memory('ours', 'web'),
        { what: koa, values: memory('bare', 'web') },
        '≤ 150',
      ),
      row(
        ['resident memory of a worker process under load', 'MB', 'lower'],
        memory('ours', 'worker'),
        { what: `a web process of ${koa}`, values: memory('bare', 'web') },
        '≤ 200',
      ),
    ],
  };
}
