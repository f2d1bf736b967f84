// Reads of one task. The baseline is Koa with a router and one HMGET of a record of the same size.

import { type Load, requests, warmUp } from '../measures.ts';
import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, createOrg, exampleTaskBody, startApi } from '../stage.ts';

const CONNECTIONS = 32;

export async function measureGets(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, url, api } = await startApi(stage);
  const bare = await stage.start('bench/bare-web.js');
  const { api_key } = await createOrg(api, 0, 1);
  const task = await api.call<{ task_id: string }>('POST', '/v1/tasks', api_key, exampleTaskBody(null));
  await stage.redis.hset(`bare:{b}:${task.task_id}`, 'body', JSON.stringify(task), 'v', 1);
  const targets = {
    ours: `${url}/v1/tasks/${task.task_id}`,
    bare: `${bare.ready.url}/tasks/${task.task_id}`,
  };
  const load = (name: keyof typeof targets): Load => ({
    url: targets[name],
    credential: api_key,
    connections: CONNECTIONS,
  });
  const get = (name: keyof typeof targets) => () =>
    requests({ ...load(name), seconds: Math.max(1, 2 * scale) });
  await warmUp(load('ours'), scale);
  await warmUp(load('bare'), scale);
  const measured = await inRounds(rounds, { ours: get('ours'), bare: get('bare') }, true);
  await Promise.all([bare.stop(), web.stop(), api.close()]);
  const of = (name: keyof typeof targets, field: 'per_second' | 'p99_ms') =>
    measured[name].map((one) => one[field]);
  const what = 'Koa, router, one HMGET';
  return {
    rows: [
      row(
        ['gets', '/s', 'higher'],
        of('ours', 'per_second'),
        { what, values: of('bare', 'per_second') },
        'ratio ≥ 0.8',
      ),
      row(['get p99', 'ms', 'lower'], of('ours', 'p99_ms'), { what, values: of('bare', 'p99_ms') }),
    ],
  };
}
