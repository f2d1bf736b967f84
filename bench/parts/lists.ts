// Pages of lists with filters among few and many tasks, also with filters that no task meets together, and the memory of a web
// and a worker process after all these tasks.

import { inTurns, settled } from '../measures.ts';
import { addResident, type Resident, residentRows } from '../resident.ts';
import { inRounds, type Measured, type Plot, quantile, row, type Size, summary } from '../rounds.ts';
import {
  type BenchEnvironment,
  type Client,
  createOrg,
  exampleTaskBody,
  type Org,
  startApi,
} from '../stage.ts';

const SIZES = [1000, 10_000, 30_000];
const LARGE_SIZES = [10_000, 100_000, 1_000_000];
const BATCH = 500;
const DOMAINS = 10;
const URGENCIES = ['low', 'normal', 'high', 'critical'];
/** Requests of a round. */
const REQUESTS = 100;

const FILTERS = {
  none: '',
  'one domain': '&domain=domain_1',
  'domain, urgency and type': '&domain=domain_1&urgency=normal&task_type=type_1',
  // Tasks of a domain have the type of the same number.
  'disjoint filters': '&domain=domain_1&task_type=type_2',
};
const LATE_PAGE = 'the 1000th page or the middle';
/** Tasks before the 1000th page of 50. */
const LATE = 50_000;

export async function measureLists(
  stage: BenchEnvironment,
  { scale, rounds, isLarge }: Size,
): Promise<Measured> {
  const sizes = (isLarge ? LARGE_SIZES : SIZES).map((size) => Math.round(size * scale));
  const largest = sizes.at(-1) ?? 0;
  const smallAt = isLarge ? 0 : 1;
  const small = sizes[smallAt] ?? 0;
  const { web, api } = await startApi(stage, { QUOTA_OPEN_TASKS: String(2 * largest) });
  const worker = await stage.start('src/worker.js');
  const resident: Resident = { web: [], worker: [] };
  const orgs: { size: number; org: Org; middle: string }[] = [];
  for (const size of sizes) {
    const org = await createOrg(api, 0, 1);
    await fill(api, org, size);
    // The worker process may be behind by a part of a million outbox entries.
    await settled(stage.redis, 600_000);
    await addResident(resident, { web, worker });
    orgs.push({ size, org, middle: await cursorOfMiddle(api, org, size) });
  }
  const names = [...Object.keys(FILTERS), LATE_PAGE];
  const points: Plot['points'] = [];
  const rows: Measured['rows'] = [];
  for (const name of names) {
    const measured = await inRounds(
      rounds,
      Object.fromEntries(
        orgs.map(({ size, org, middle }) => {
          const filter = Object.entries(FILTERS).find(([one]) => one === name)?.[1] ?? `&cursor=${middle}`;
          return [`n${size}`, () => p99(api, org, `/v1/tasks?limit=50${filter}`)];
        }),
      ),
      true,
    );
    const of = (size = 0) => measured[`n${size}`] ?? [];
    for (const size of sizes) points.push({ series: name, x: size, ...summary(of(size)) });
    rows.push(
      row(
        [`list of ${largest} tasks, ${name}: p99`, 'ms', 'lower'],
        of(largest),
        { what: `of ${small} tasks`, values: of(small) },
        'ratio ≤ 2',
      ),
    );
  }
  await Promise.all([web.stop(), worker.stop(), api.close()]);
  rows.push(
    ...residentRows(resident, ` after ${largest} tasks`, `after ${small}`, (all) => ({
      ours: all.slice(-1),
      base: all.slice(smallAt, smallAt + 1),
    })),
  );
  return {
    rows,
    plots: [
      {
        file: 'lists',
        title: 'A page of 50 tasks, by the number of tasks of the org (p99)',
        x: 'tasks',
        y: 'ms',
        log: { x: true, y: true },
        points,
      },
    ],
  };
}

async function fill(api: Client, org: Org, size: number): Promise<void> {
  const body = exampleTaskBody(null);
  // No clock is due before the end of the run.
  const deadline = new Date(Date.now() + 24 * 3600_000).toISOString();
  let made = 0;
  await inTurns(Math.ceil(size / BATCH), 2, () =>
    api.call('POST', '/v1/tasks/batch', org.api_key, {
      tasks: Array.from({ length: Math.min(BATCH, size) }, () => {
        made += 1;
        const number = made % DOMAINS;
        const urgency = URGENCIES[Math.floor(made / DOMAINS) % URGENCIES.length];
        return {
          ...body,
          domain: `domain_${number}`,
          task_type: `type_${number}`,
          sla: { urgency, deadline },
        };
      }),
    }),
  );
}

async function cursorOfMiddle(api: Client, org: Org, size: number): Promise<string> {
  let cursor = '';
  const limit = Math.min(200, Math.floor(size / 4));
  for (let read = 0; read < Math.min(LATE, size / 2); read += limit) {
    const path = `/v1/tasks?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`;
    const page = await api.call<{ next_cursor: string | null }>('GET', path, org.api_key);
    if (page.next_cursor === null) break;
    cursor = encodeURIComponent(page.next_cursor);
  }
  return cursor;
}

/** The p99 of requests one after another, ms. */
async function p99(api: Client, org: Org, path: string): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < REQUESTS; index += 1) {
    const start = performance.now();
    await api.call('GET', path, org.api_key);
    times.push(performance.now() - start);
  }
  return quantile(times, 0.99);
}
