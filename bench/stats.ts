// Queries of the numbers of an org: 90 days by day, with tallies that are written directly. The baseline sends the same
// reads to Redis and parses the same JSON, and does nothing else.

import { PREFIX } from '../src/runtime/process.ts';
import { histogramOf } from '../src/state/stats/histogram.ts';
import { addCount, type Dimension, newTally, packTally } from '../src/state/stats/tally.ts';
import { URGENCIES } from '../src/state/tasks/task.ts';
import { newId } from '../src/store/redis/ids.ts';
import { orgKeysOf } from '../src/store/redis/keys.ts';
import { DAY, tableName } from '../src/store/stats/sample-log.ts';
import { cpuOf } from './deliveries.ts';
import type { Cell, Measured } from './measures.ts';
import { type BenchEnvironment, type Child, Client, createOrg, type Org } from './stage.ts';

const DAYS = 90;
/** Completed tasks of a tally. */
const TASKS = 40;
/** Created tasks of a domain in a day. */
const CREATED = 10;
/** Queries before the CPU time is read; it has a resolution of 10 ms. */
const QUERIES = 10;

interface QueryCost {
  /** CPU of the web process for a query. */
  cpu_ms: number;
  /** CPU of the baseline. */
  bare_cpu_ms: number;
  /** Until the whole answer has arrived. */
  p50_ms: number;
}

/** Goal: 50 ms for an answer. */
export async function measureStats(stage: BenchEnvironment, scale: number): Promise<Measured> {
  const web = await stage.start('src/web.js');
  const api = new Client(String(web.ready.url), 1);
  const turns = Math.max(2, Math.round(10 * scale));
  const figures: Record<string, QueryCost> = {};
  for (const [dimension, values] of [
    ['urgency', URGENCIES],
    ['domain', names(10)],
    ['worker', names(200)],
  ] as const) {
    const org = await createOrg(api, 0, 1);
    await fillTallies(stage, org, dimension, values);
    const name = dimension === 'urgency' ? 'ungrouped' : `${values.length} of ${dimension}`;
    figures[name] = await queryCost(stage, web, api, org, dimension, turns);
  }
  await Promise.all([web.stop(), api.close()]);
  return {
    figures,
    rows: Object.entries(figures).flatMap(([name, { cpu_ms, bare_cpu_ms, p50_ms }]): Cell[][] => [
      [`CPU ms of a stats query, ${name}`, cpu_ms, bare_cpu_ms, Math.round((cpu_ms / bare_cpu_ms) * 10) / 10],
      ['  ms until its answer, p50', p50_ms, '', ''],
    ]),
  };
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

/** Our queries and those of the baseline alternate. */
async function queryCost(
  stage: BenchEnvironment,
  web: Child,
  api: Client,
  org: Org,
  dimension: Dimension,
  turns: number,
): Promise<QueryCost> {
  const from = new Date((days()[0] ?? 0) * DAY).toISOString();
  const path = `/v1/stats?from=${from}${dimension === 'urgency' ? '' : `&group_by=${dimension}`}`;
  const waits: number[] = [];
  let [ours, bare] = [0, 0];
  // The first turn warms up.
  for (let turn = 0; turn <= turns; turn += 1) {
    const before = (await cpuOf(web)) ?? 0;
    for (let query = 0; query < QUERIES; query += 1) {
      const start = performance.now();
      await api.call('GET', path, org.api_key);
      if (turn > 0) waits.push(performance.now() - start);
    }
    const used = ((await cpuOf(web)) ?? 0) - before;
    const start = process.cpuUsage();
    for (let query = 0; query < QUERIES; query += 1) await bareQuery(stage, org, dimension);
    const { user, system } = process.cpuUsage(start);
    if (turn === 0) continue;
    ours += used * 1000;
    bare += (user + system) / 1000;
  }
  const count = turns * QUERIES;
  return {
    cpu_ms: Math.round(ours / count),
    bare_cpu_ms: Math.round(bare / count),
    p50_ms: Math.round(waits.sort((one, other) => one - other)[Math.floor(waits.length / 2)] ?? 0),
  };
}

async function bareQuery({ redis }: BenchEnvironment, { org_id }: Org, dimension: Dimension): Promise<void> {
  const keys = orgKeysOf(PREFIX, org_id);
  const reads = days().map((day) => redis.hgetall(keys.statsDay(tableName(dimension, day))));
  for (const fields of await Promise.all(reads)) for (const text of Object.values(fields)) JSON.parse(text);
}
