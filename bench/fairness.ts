// The effect of a burst of one org's tasks on another org: the time from create to offer, alone and during the burst, by
// the times of the history.

import { setTimeout as sleep } from 'node:timers/promises';
import { inTurns, type Measured } from './measures.ts';
import { type BenchEnvironment, Client, createOrg, exampleTaskBody } from './stage.ts';

const BURST = 5000;
const BATCH = 50;
/** Number of tasks of the other org without a burst, and the pause between two, ms. */
const TASKS = 100;
const PAUSE = 40;
const WORKERS = 30;

interface Waits {
  tasks: number;
  p50_ms: number;
  p95_ms: number;
}

/** Goal: the p95 from create to offer during the burst is at most twice the p95 without it. */
export async function measureFairness(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const web = await stage.start('src/web.js');
  const worker = await stage.start('src/worker.js');
  const api = new Client(String(web.ready.url), 40);
  const burst = Math.round(BURST * scale);
  const [busy, quiet] = [
    await createOrg(api, WORKERS, Math.ceil(burst / WORKERS)),
    await createOrg(api, WORKERS, 1000),
  ];
  const body = exampleTaskBody(null);
  const create = async () => {
    const { task_id } = await api.call<{ task_id: string }>('POST', '/v1/tasks', quiet.api_key, body);
    await sleep(PAUSE);
    return task_id;
  };
  for (let index = 0; index < TASKS / 2; index += 1) await create();
  const alone: string[] = [];
  for (let index = 0; index < TASKS; index += 1) alone.push(await create());
  const offered = async () => {
    const found = await api.call<{ data: unknown[] }>('GET', '/v1/tasks?status=queued&limit=1', busy.api_key);
    return found.data.length === 0;
  };
  const start = performance.now();
  let isBurst = true;
  const bursting = inTurns(Math.ceil(burst / BATCH), 4, () =>
    api.call('POST', '/v1/tasks/batch', busy.api_key, { tasks: Array.from({ length: BATCH }, () => body) }),
  ).then(async () => {
    while (!(await offered())) await sleep(20);
    isBurst = false;
  });
  const beside: string[] = [];
  while (isBurst) beside.push(await create());
  await bursting;
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  const [before, during] = [
    await waitsOf(api, quiet.api_key, alone),
    await waitsOf(api, quiet.api_key, beside),
  ];
  await Promise.all([worker.stop(), web.stop(), api.close()]);
  const ratio = Math.round((during.p95_ms / before.p95_ms) * 100) / 100;
  return {
    figures: { burst, seconds, alone: before, beside: during, ratio },
    rows: [
      [`create → offer p95 ms beside ${burst} of another org`, during.p95_ms, before.p95_ms, ratio],
      [`create → offer p50 ms beside ${burst} of another org`, during.p50_ms, before.p50_ms, ''],
      ['seconds until the burst is offered', seconds, '', ''],
    ],
  };
}

/** Times of the tasks from creation to offer. */
async function waitsOf(api: Client, key: string, ids: readonly string[]): Promise<Waits> {
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
  waits.sort((a, b) => a - b);
  const share = (part: number) => waits[Math.floor(waits.length * part)] ?? 0;
  return { tasks: waits.length, p50_ms: share(0.5), p95_ms: share(0.95) };
}
