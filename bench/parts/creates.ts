// Creates: the rate, and the latency at 70 % of the highest rate. The baseline sends the same body through Koa and Ajv and
// writes the same records in one EVALSHA.

import { emptied, type Load, requests, warmUp } from '../measures.ts';
import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, createOrg, exampleTaskBody, startApi } from '../stage.ts';

const CONNECTIONS = 32;
const SAME = 'the same records, barely';

export async function measureCreates(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const seconds = Math.max(0.5, scale);
  const { web, url, api } = await startApi(stage);
  const bare = await stage.start('bench/bare-web.js');
  const targets = { ours: `${url}/v1/tasks`, same: `${bare.ready.url}/same` };
  const prepare = async (name: keyof typeof targets): Promise<Load> => {
    await emptied(stage.redis);
    const credential = name === 'ours' ? (await createOrg(api, 0, 1)).api_key : '';
    return { url: targets[name], credential, body: exampleTaskBody(null), connections: CONNECTIONS };
  };
  for (const name of ['ours', 'same'] as const) await warmUp(await prepare(name), scale);
  // Each on an empty Redis and after some more requests: V8 drops the optimised code of an idle process.
  const measure = (name: keyof typeof targets, rate?: number) => async () => {
    const load = await prepare(name);
    await requests({ ...load, seconds: seconds / 2 });
    return await requests({ ...load, seconds, rate });
  };
  const peak = await inRounds(rounds, { ours: measure('ours'), same: measure('same') }, true);
  const part = (name: keyof typeof targets) =>
    Math.round(0.7 * Math.min(...peak[name].map((one) => one.per_second)));
  const steady = await inRounds(rounds, {
    ours: measure('ours', part('ours')),
    same: measure('same', part('same')),
  });
  await Promise.all([bare.stop(), web.stop(), api.close()]);
  const rate = (name: keyof typeof targets) => peak[name].map((one) => one.per_second);
  const latency = (name: keyof typeof targets) => steady[name].map((one) => one.p99_ms);
  return {
    rows: [
      row(['creates', '/s', 'higher'], rate('ours'), { what: SAME, values: rate('same') }, 'ratio ≥ 0.75'),
      row(
        ['create p99 at 70 % of the highest rate', 'ms', 'lower'],
        latency('ours'),
        { what: `${SAME}, at 70 % of theirs`, values: latency('same') },
        '≤ 20 ms',
      ),
    ],
  };
}
