// Queries of the numbers of an org: 90 days by day, with tallies that are written directly. The baseline sends the same
// reads to Redis and parses the same JSON, and does nothing else.

import { PREFIX } from '../../src/runtime/process.ts';
import { histogramOf } from '../../src/state/stats/histogram.ts';
import { addCount, type Dimension, newTally, packTally } from '../../src/state/stats/tally.ts';
import { URGENCIES } from '../../src/state/tasks/task.ts';
import { newId } from '../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { DAY, tableName } from '../../src/store/stats/sample-log.ts';
import { cpuMicroseconds } from '../processes.ts';
import { inRounds, type Measured, quantile, type Row, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, type Child, Client, createOrg, type Org } from '../stage.ts';

const DAYS = 90;
/** Completed tasks of a tally. */
const TASKS = 40;
/** Created tasks of a domain in a day. */
const CREATED = 10;
/** Queries of a round. */
const QUERIES = 4;

interface QueryCost {
  /** CPU of the web process for a query, ms. */
  cpu: number;
  /** Until the whole answer has arrived, the median, ms. */
  wait: number;
}

/** Goal: 50 ms for an answer. */
export async function measureStats(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const web = await stage.start('src/web.js');
  const api = new Client(String(web.ready.url), 1);
  const rows: Row[] = [];
  for (const [dimension, values] of [
    ['urgency', URGENCIES],
    ['domain', names(10)],
    ['worker', names(200)],
  ] as const) {
    const org = await createOrg(api, 0, 1);
    await fillTallies(stage, org, dimension, values);
    const queries = Math.max(3, Math.round(QUERIES * scale));
    const measured = await inRounds(
      rounds,
      {
        ours: () => ourQueries(web, api, org, dimension, queries),
        bare: () => bareQueries(stage, org, dimension, queries),
      },
      true,
    );
    const name = dimension === 'urgency' ? 'ungrouped' : `${values.length} of ${dimension}`;
    const compared = (what: string, field: keyof QueryCost, aim: string) =>
      row(
        [`${what} of a stats query, ${name}`, 'ms', 'lower'],
        measured.ours.map((one) => one[field]),
        { what: 'read and parsed', values: measured.bare.map((one) => one[field]) },
        aim,
      );
    rows.push(compared('CPU', 'cpu', ''), compared('answer', 'wait', '≤ 50 ms'));
  }
  await Promise.all([web.stop(), api.close()]);
  return { rows };
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `name-${index}`);
}

async function fillTallies(
  { redis }: BenchEnvironment,
  { org_id }: Org,
  dimension: Dimension,
  values: readonly string[],
): Promise<void> {
  const keys = orgKeysOf(PREFIX, org_id);
  for (const day of days()) {
    const tallies = values.flatMap((value) => [value, randomTally()]);
    await redis.hset(keys.statsDay(tableName(dimension, day)), ...tallies);
    if (dimension !== 'domain') continue;
    for (const value of values) {
      const members = Array.from({ length: CREATED }, () => [0, newId(day * DAY)]).flat();
      await redis.zadd(keys.index(`domain:${value}`), ...members);
      await redis.zadd(keys.index('all'), ...members);
      await redis.zadd(keys.statsValues('domain'), day * DAY, value);
    }
  }
}

/** The days of a query, oldest first. */
function days(): number[] {
  const today = Math.floor(Date.now() / DAY);
  return Array.from({ length: DAYS }, (_, index) => today - DAYS + 1 + index);
}

/** Times of log-normal distributions, like those of people. */
function randomTally(): string {
  const tally = newTally();
  addCount(tally, 'completed', TASKS);
  addCount(tally, 'breached:target_latency', 3);
  for (const [span, median] of [
    ['waiting', 60_000],
    ['handling', 600_000],
    ['total', 900_000],
  ] as const)
    for (let task = 0; task < TASKS; task += 1) {
      const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
      tally.times[span].push(histogramOf(median * Math.exp(normal)));
    }
  return packTally(tally);
}

async function ourQueries(
  web: Child,
  api: Client,
  org: Org,
  dimension: Dimension,
  queries: number,
): Promise<QueryCost> {
  const from = new Date((days()[0] ?? 0) * DAY).toISOString();
  const path = `/v1/stats?from=${from}${dimension === 'urgency' ? '' : `&group_by=${dimension}`}`;
  const before = (await cpuMicroseconds(web.pid)) ?? 0;
  const waits = await waitsOf(queries, () => api.call('GET', path, org.api_key));
  const used = ((await cpuMicroseconds(web.pid)) ?? 0) - before;
  return { cpu: used / 1000 / queries, wait: quantile(waits, 0.5) };
}

async function bareQueries(
  stage: BenchEnvironment,
  org: Org,
  dimension: Dimension,
  queries: number,
): Promise<QueryCost> {
  const start = process.cpuUsage();
  const waits = await waitsOf(queries, () => bareQuery(stage, org, dimension));
  const { user, system } = process.cpuUsage(start);
  return { cpu: (user + system) / 1000 / queries, wait: quantile(waits, 0.5) };
}

/** The times of queries one after another, ms. */
async function waitsOf(queries: number, query: () => Promise<unknown>): Promise<number[]> {
  const waits: number[] = [];
  for (let count = 0; count < queries; count += 1) {
    const start = performance.now();
    await query();
    waits.push(performance.now() - start);
  }
  return waits;
}

async function bareQuery({ redis }: BenchEnvironment, { org_id }: Org, dimension: Dimension): Promise<void> {
  const keys = orgKeysOf(PREFIX, org_id);
  const reads = days().map((day) => redis.hgetall(keys.statsDay(tableName(dimension, day))));
  for (const fields of await Promise.all(reads)) for (const text of Object.values(fields)) JSON.parse(text);
}
