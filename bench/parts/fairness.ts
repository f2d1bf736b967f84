// The effect of a burst of one org's tasks on another org: the time from create to offer, alone and during the burst, by
// the times of the history.

import { setTimeout as sleep } from 'node:timers/promises';
import { inTurns, until } from '../measures.ts';
import { inRounds, type Measured, quantile, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, type Client, createOrg, exampleTaskBody, startApi } from '../stage.ts';

/** Tasks of the burst of a round. */
const BURST = 1000;
const BATCH = 50;
/** Tasks of the other org without a burst, and the pause between two, ms. */
const TASKS = 30;
const PAUSE = 40;
const WORKERS = 30;

/** Goal: the p95 from create to offer during the burst is at most twice the p95 without it. */
export async function measureFairness(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const burst = Math.round(BURST * scale);
  const quiet = await createOrg(api, WORKERS, 1000);
  const body = exampleTaskBody(null);
  const create = async () => {
    const { task_id } = await api.call<{ task_id: string }>('POST', '/v1/tasks', quiet.api_key, body);
    await sleep(PAUSE);
    return task_id;
  };
  const measured = await inRounds(
    rounds,
    {
      alone: async () => {
        const ids: string[] = [];
        for (let index = 0; index < TASKS; index += 1) ids.push(await create());
        return quantile(await waitsOf(api, quiet.api_key, ids), 0.95);
      },
      beside: async () => {
        // The workers of an org take its whole burst, so each round has an org of its own.
        const busy = await createOrg(api, WORKERS, Math.ceil(burst / WORKERS));
        let isBurst = true;
        const bursting = inTurns(Math.ceil(burst / BATCH), 4, () =>
          api.call('POST', '/v1/tasks/batch', busy.api_key, {
            tasks: Array.from({ length: BATCH }, () => body),
          }),
        ).then(async () => {
          const path = '/v1/tasks?status=queued&limit=1';
          await until(async () => {
            const { data } = await api.call<{ data: unknown[] }>('GET', path, busy.api_key);
            return data.length === 0;
          }, 20);
          isBurst = false;
        });
        const ids: string[] = [];
        while (isBurst) ids.push(await create());
        await bursting;
        return quantile(await waitsOf(api, quiet.api_key, ids), 0.95);
      },
    },
    true,
  );
  await Promise.all([worker.stop(), web.stop(), api.close()]);
  const base = { what: 'alone', values: measured.alone };
  return {
    rows: [
      row(
        [`create to offer beside ${burst} of another org, p95`, 'ms', 'lower'],
        measured.beside,
        base,
        'ratio ≤ 2',
      ),
    ],
  };
}

/** Times of the tasks from creation to offer. */
async function waitsOf(api: Client, key: string, ids: readonly string[]): Promise<number[]> {
  const waits: number[] = [];
  for (const id of ids) {
    const history = await api.call<{ data: { type: string; at: string }[] }>(
      'GET',
      `/v1/tasks/${id}/events`,
      key,
    );
    const at = (type: string) => Date.parse(history.data.find((one) => one.type === type)?.at ?? '');
    waits.push(at('task.offered') - at('task.created'));
  }
  return waits;
}
