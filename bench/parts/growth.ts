// Whether the memory of the processes grows with the number of tasks: it is measured while tasks are created, in batches and one
// by one, and read. The first half of the run, in which caches and V8's heap fill, is the baseline of the second.

import { inTurns, settled } from '../measures.ts';
import { addResident, type Resident, residentRows } from '../resident.ts';
import { type Measured, type Plot, type Size, summary } from '../rounds.ts';
import { type BenchEnvironment, createOrg, exampleTaskBody, startApi } from '../stage.ts';

/** Tasks of a step, and how many of them are created one by one; as many are read. */
const STEP = 6000;
const SINGLE = 1000;
const BATCH = 500;
/** Steps of a half. */
const STEPS = 5;

export async function measureGrowth(stage: BenchEnvironment, { scale }: Size): Promise<Measured> {
  const tasks = 2 * STEPS * STEP * scale;
  const { web, api } = await startApi(stage, { QUOTA_OPEN_TASKS: String(2 * tasks) });
  const worker = await stage.start('src/worker.js');
  const { api_key: key } = await createOrg(api, 0, 1);
  const body = exampleTaskBody(null);
  const resident: Resident = { web: [], worker: [] };
  for (let step = 0; step < 2 * STEPS; step += 1) {
    const ids: string[] = [];
    await inTurns(SINGLE * scale, 32, async () => {
      ids.push((await api.call<{ task_id: string }>('POST', '/v1/tasks', key, body)).task_id);
    });
    await inTurns(SINGLE * scale, 32, () => api.call('GET', `/v1/tasks/${ids.pop()}`, key));
    await inTurns(((STEP - SINGLE) * scale) / BATCH, 2, () =>
      api.call('POST', '/v1/tasks/batch', key, { tasks: Array.from({ length: BATCH }, () => body) }),
    );
    await settled(stage.redis);
    await addResident(resident, { web, worker });
  }
  await Promise.all([web.stop(), worker.stop(), api.close()]);
  const points = Object.entries(resident).flatMap(([series, megabytes]): Plot['points'] =>
    megabytes.map((value, step) => ({ series, x: (step + 1) * STEP * scale, ...summary([value]) })),
  );
  const half = tasks / 2;
  return {
    rows: residentRows(resident, `, the second ${half} tasks`, `the ${half} before`, (all) => ({
      ours: all.slice(STEPS),
      base: all.slice(0, STEPS),
    })),
    plots: [
      {
        file: 'growth',
        title: 'Resident memory of the processes while tasks are created and read',
        x: 'tasks',
        y: 'MB',
        log: { x: false, y: false },
        points,
      },
    ],
  };
}
