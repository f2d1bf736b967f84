// Whether the memory of the processes grows with the number of tasks: it is measured while tasks are created, in batches and one
// by one, and read. The first half of the run, in which caches and V8's heap fill, is the baseline of the second.

import { inTurns, settled } from '../measures.ts';
import { residentBytes } from '../processes.ts';
import { type Measured, type Plot, row, type Size, summary } from '../rounds.ts';
import { type BenchEnvironment, createOrg, exampleTaskBody, startApi } from '../stage.ts';

/** Tasks of a step, and how many of them are created one by one; as many are read. */
const STEP = 6000;
const SINGLE = 1000;
const BATCH = 500;
/** Steps of a half. */
const STEPS = 5;
const MEGABYTE = 1024 * 1024;

export async function measureGrowth(stage: BenchEnvironment, { scale }: Size): Promise<Measured> {
  const tasks = 2 * STEPS * STEP * scale;
  const { web, api } = await startApi(stage, { QUOTA_OPEN_TASKS: String(2 * tasks) });
  const worker = await stage.start('src/worker.js');
  const { api_key: key } = await createOrg(api, 0, 1);
  const body = exampleTaskBody(null);
  const resident: Record<'web' | 'worker', number[]> = { web: [], worker: [] };
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
    resident.web.push((await residentBytes(web.pid)) / MEGABYTE);
    resident.worker.push((await residentBytes(worker.pid)) / MEGABYTE);
  }
  await Promise.all([web.stop(), worker.stop(), api.close()]);
  const points: Plot['points'] = [];
  const rows: Measured['rows'] = [];
  for (const [name, megabytes] of Object.entries(resident)) {
    for (const [step, value] of megabytes.entries())
      points.push({ series: name, x: (step + 1) * STEP * scale, ...summary([value]) });
    const what = `the ${tasks / 2} before`;
    rows.push(
      row(
        [`resident memory of a ${name} process, the second ${tasks / 2} tasks`, 'MB', 'lower'],
        megabytes.slice(STEPS),
        { what, values: megabytes.slice(0, STEPS) },
        `flat; ${name === 'web' ? 150 : 200} MB`,
      ),
    );
  }
  return {
    rows,
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
