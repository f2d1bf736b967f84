// Redis memory of a finished task with ten events (one of them a breach) and its deliveries. The baseline is the task and its
// history as the API returns them, as two strings.

import { finish, inTurns, settled, usedMemory } from '../measures.ts';
import { inRounds, type Measured, row, type Size } from '../rounds.ts';
import {
  type BenchEnvironment,
  type Client,
  createOrg,
  exampleTaskBody,
  type Org,
  startApi,
} from '../stage.ts';

const TASKS = 200;
/** Tasks before the measurement: they fill bounded keys, such as BullMQ's finished jobs. */
const FIRST = 600;

export async function measureMemory(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const receiver = await stage.start('bench/receiver.js');
  const org = await createOrg(api, 30, 50);
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const grown = async (count: number, work: () => Promise<unknown>) => {
    const before = await usedMemory(stage.redis);
    await work();
    return ((await usedMemory(stage.redis)) - before) / count;
  };
  const [taskId = ''] = await play(stage, api, org, Math.round(FIRST * Math.max(scale, 0.5)), target);
  const [task, history] = await Promise.all(
    ['', '/events'].map((what) => api.call('GET', `/v1/tasks/${taskId}${what}`, org.api_key)),
  );
  const count = Math.round(TASKS * Math.max(scale, 0.5));
  const measured = await inRounds(rounds, {
    ours: () => grown(count, () => play(stage, api, org, count, target)),
    bare: (round) =>
      grown(count, async () => {
        for (let index = 0; index < count; index += 1) {
          await stage.redis.set(`bare:task:${round}:${index}`, JSON.stringify(task));
          await stage.redis.set(`bare:history:${round}:${index}`, JSON.stringify(history));
        }
      }),
  });
  await Promise.all([worker.stop(), receiver.stop(), web.stop(), api.close()]);
  const base = { what: 'task and history as JSON', values: measured.bare };
  return {
    rows: [row(['Redis memory of a finished task', 'bytes', 'lower'], measured.ours, base, '≤ 3000')],
  };
}

/** Runs tasks to their end, past their target latency. @returns their ids */
async function play(
  stage: BenchEnvironment,
  api: Client,
  org: Org,
  tasks: number,
  target: string,
): Promise<string[]> {
  const body = exampleTaskBody(target, { latency: 1 });
  const ids: string[] = [];
  await inTurns(tasks, 8, async () => {
    const { task_id } = await api.call<{ task_id: string }>('POST', '/v1/tasks', org.api_key, body);
    ids.push(task_id);
  });
  // Waits until every task has breached its target latency.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  let left = tasks;
  await Promise.all(
    org.workers.map(async (token) => {
      while (left > 0) {
        const offers = await api.call<{ data: { offer_id: string; task_id: string }[] }>(
          'GET',
          '/v1/worker/offers?wait=1',
          token,
        );
        for (const { offer_id, task_id } of offers.data) {
          await api.call('POST', `/v1/worker/offers/${offer_id}/accept`, token);
          await finish(api, token, task_id);
          left -= 1;
        }
      }
    }),
  );
  for (const id of ids) await api.call('GET', `/v1/tasks/${id}?wait=30`, org.api_key);
  await settled(stage.redis);
  return ids;
}
