// Redis memory of a finished task with ten events (one of them a breach) and its deliveries, in all and by families of keys. The
// baseline is the task and its history as the API returns them, as two strings.

import { bytesByFamily, type Family, type FamilyBytes } from '../key-families.ts';
import { finish, inTurns, settled, until, usedMemory } from '../measures.ts';
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
/** Tasks before the measurement: they fill bounded keys, such as BullMQ's finished jobs and the offers of a worker. */
const FIRST = 600;
/** Few, so that their bounded keys are full soon. */
const WORKERS = 3;

/** Number of all tasks so far: each is for another request. */
let played = 0;

interface Grown {
  /** Bytes a task by which the memory in use has grown. */
  used: number;
  /** Bytes a task by which the keys have grown. */
  families: FamilyBytes;
}

export async function measureMemory(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const receiver = await stage.start('bench/receiver.js');
  const org = await createOrg(api, WORKERS, 500);
  const target = `http://127.0.0.1:${receiver.ready.port}`;
  const grown = async (count: number, work: () => Promise<unknown>): Promise<Grown> => {
    const [used, keys] = [await usedMemory(stage.redis), await bytesByFamily(stage.redis)];
    await work();
    const families: FamilyBytes = new Map();
    for (const [family, bytes] of await bytesByFamily(stage.redis))
      families.set(family, (bytes - (keys.get(family) ?? 0)) / count);
    return { used: ((await usedMemory(stage.redis)) - used) / count, families };
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
  const used = (all: readonly Grown[]) => all.map((one) => one.used);
  const base = { what: 'task and history as JSON', values: used(measured.bare) };
  const families = new Set<Family>(measured.ours.flatMap((one) => [...one.families.keys()]));
  return {
    rows: [
      row(['Redis memory of a finished task', 'bytes', 'lower'], used(measured.ours), base, '≤ 3000'),
      ...[...families].map((family) =>
        row(
          [`– ${family}`, 'bytes', 'lower'],
          measured.ours.map((one) => one.families.get(family) ?? 0),
        ),
      ),
    ],
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
  const ids: string[] = [];
  await inTurns(tasks, 8, async () => {
    played += 1;
    const body = exampleTaskBody(target, { latency: 1, requestId: `IR-${10_000 + played}` });
    const { task_id } = await api.call<{ task_id: string }>('POST', '/v1/tasks', org.api_key, body);
    ids.push(task_id);
  });
  const [overdue = ''] = [`*:${org.org_id}:index:overdue:true`];
  await until(async () => {
    const [key = overdue] = await stage.redis.keys(overdue);
    return (await stage.redis.zcard(key)) === tasks;
  }, 20);
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
