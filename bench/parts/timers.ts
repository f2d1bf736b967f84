// Deadlines that many tasks reach in a moment, while many more are pending: how late each is noticed, and whether creates of another
// org meanwhile are slower. The baseline is the same number of delayed jobs of BullMQ that write one change each.

import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { QUEUE, QUEUE_PREFIX } from '../bare-life.ts';
import { inTurns, settled, until } from '../measures.ts';
import { inRounds, type Measured, quantile, row, type Size } from '../rounds.ts';
import {
  type BenchEnvironment,
  type Client,
  createOrg,
  exampleTaskBody,
  type Org,
  startApi,
} from '../stage.ts';
import { steadyP99 } from '../steady.ts';

/** Tasks with a deadline in an hour; with those of the burst, 100 000 are pending. */
const PENDING = 80_000;
/** Deadlines of a round, as close together as `BURST` within a second. */
const DUE = 4000;
const BURST = 20_000;
/** Rounds of `DUE`: more would take too long beside the other parts. */
const MOST_ROUNDS = 3;
const BATCH = 500;
/** How long creates of another org are measured, s: about as long as the burst takes. */
const CREATES_S = 6;

export async function measureTimers(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const { web, url, api } = await startApi(stage);
  const worker = await stage.start('src/worker.js');
  const bareWorker = await stage.start('bench/bare-worker.js');
  const [org, other] = [await createOrg(api, 0, 1), await createOrg(api, 0, 1)];
  const start = performance.now();
  const pending = PENDING * scale;
  await create(api, org, pending, 'pending', () => new Date(Date.now() + 3600_000));
  const perTask = (performance.now() - start) / pending;
  const queue = new Queue(QUEUE, { connection: stage.redis, prefix: QUEUE_PREFIX });
  /** How late tasks are noticed whose deadlines are made now. @param onDue called when the first is reached */
  const lateOf = async (count: number, name: string, onDue = async () => {}) => {
    const first = Date.now() + 1500 + 1.5 * perTask * count;
    let made = 0;
    const span = (count * 1000) / BURST;
    await create(api, org, count, name, () => {
      made += 1;
      return new Date(first + (span * made) / count);
    });
    await sleep(Math.max(0, first - Date.now()));
    const [late] = await Promise.all([lateness(api, org, count, name), onDue()]);
    return quantile(late, 0.99);
  };
  const bare = async (count: number) => {
    const span = (count * 1000) / BURST;
    const first = Date.now() + 2000;
    for (let added = 0; added < count; added += BATCH)
      await queue.addBulk(
        Array.from({ length: Math.min(BATCH, count - added) }, (_, index) => ({
          name: 'due',
          data: { id: `${added + index}`, due: first + (span * (added + index)) / count },
          opts: {
            delay: Math.round(first + (span * (added + index)) / count - Date.now()),
            removeOnComplete: false,
          },
        })),
      );
    await until(async () => (await queue.getCompletedCount()) >= count);
    const late = (await queue.getCompleted(0, count - 1)).map(
      ({ processedOn = 0, data }) => processedOn - Number(data.due),
    );
    await queue.obliterate({ force: true });
    return quantile(late, 0.99);
  };
  // The checks of the pending tasks are done.
  await settled(stage.redis);
  const count = DUE * scale;
  const measured = await inRounds(Math.min(rounds, MOST_ROUNDS), {
    ours: (round) => lateOf(count, `round_${round}`),
    bare: () => bare(count),
  });
  const all = BURST * scale;
  const alone = await steadyP99(url, other, CREATES_S);
  let beside = 0;
  const burst = await inRounds(1, {
    ours: () =>
      lateOf(all, 'burst', async () => {
        beside = await steadyP99(url, other, CREATES_S);
      }),
    bare: () => bare(all),
  });
  await Promise.all([queue.close(), api.close()]);
  await Promise.all([worker, bareWorker, web].map((one) => one.stop()));
  const what = 'delayed jobs of BullMQ';
  return {
    rows: [
      row(
        [`${count} deadlines in ${(count * 1000) / BURST} ms, ${pending} pending: late, p99`, 'ms', 'lower'],
        measured.ours,
        { what, values: measured.bare },
        '≤ 1000 ms',
      ),
      row(
        [`${all} deadlines in ${scale * 1000} ms, ${pending + all} pending: late, p99`, 'ms', 'lower'],
        burst.ours,
        { what, values: burst.bare },
        '≤ 1000 ms',
      ),
      row(
        ['creates of another org meanwhile: p99', 'ms', 'lower'],
        [beside],
        { what: 'the same before', values: [alone] },
        'ratio ≤ 2',
      ),
    ],
  };
}

async function create(
  api: Client,
  org: Org,
  count: number,
  name: string,
  deadline: () => Date,
): Promise<void> {
  const body = exampleTaskBody(null);
  await inTurns(Math.ceil(count / BATCH), 3, () =>
    api.call('POST', '/v1/tasks/batch', org.api_key, {
      tasks: Array.from({ length: Math.min(BATCH, count) }, () => ({
        ...body,
        task_type: name,
        sla: { urgency: 'normal', deadline: deadline().toISOString() },
      })),
    }),
  );
}

/** Waits until every deadline is noticed. @returns how late, ms */
async function lateness(api: Client, org: Org, count: number, name: string): Promise<number[]> {
  const get = <T>(path: string) => api.call<T>('GET', path, org.api_key);
  await until(async () => {
    const open = await get<{ data: unknown[] }>(`/v1/tasks?status=queued&task_type=${name}&limit=1`);
    return open.data.length === 0;
  });
  const late: number[] = [];
  for (let cursor = ''; ; ) {
    const page = await get<{
      data: { sla: { breaches: { due_at: string; breached_at: string }[] } }[];
      next_cursor: string | null;
    }>(`/v1/tasks?task_type=${name}&limit=200${cursor}`);
    for (const { sla } of page.data)
      for (const { due_at, breached_at } of sla.breaches)
        late.push(Date.parse(breached_at) - Date.parse(due_at));
    if (page.next_cursor === null) break;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
  if (late.length < count) throw new Error(`${late.length} of ${count} deadlines were noticed`);
  return late;
}
