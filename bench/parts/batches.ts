// Tasks created 500 at a time, against tasks created one at a time.

import { inTurns, requests, warmUp } from '../measures.ts';
import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, createOrg, exampleTaskBody, startApi } from '../stage.ts';

const BATCH = 500;
const BATCHES = 8;

export async function measureBatches(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, url, api } = await startApi(stage);
  const { api_key } = await createOrg(api, 0, 1);
  const body = exampleTaskBody(null);
  const tasks = Array.from({ length: BATCH }, () => body);
  const load = { url: `${url}/v1/tasks`, credential: api_key, body, connections: 32 };
  await warmUp(load, scale);
  const count = Math.max(2, Math.round(BATCHES * scale));
  const measured = await inRounds(
    rounds,
    {
      batches: async () => {
        const start = performance.now();
        await inTurns(count, 2, () => api.call('POST', '/v1/tasks/batch', api_key, { tasks }));
        return (count * BATCH * 1000) / (performance.now() - start);
      },
      single: async () => {
        return (await requests({ ...load, seconds: Math.max(1, 2 * scale) })).per_second;
      },
    },
    true,
  );
  await Promise.all([web.stop(), api.close()]);
  return {
    rows: [
      row(
        [`tasks created ${BATCH} at a time`, '/s', 'higher'],
        measured.batches,
        { what: 'single creates', values: measured.single },
        'ratio ≥ 3',
      ),
    ],
  };
}
