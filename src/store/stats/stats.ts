// The numbers of an org, for each hour or day of a range. They are the tallies together with the samples that are still in
// the log; created tasks are counted in the indexes, whose members begin with the time of creation, so that a create
// writes nothing for them. The purge of a task adds a sample for it, because it leaves the indexes.

import {
  addCount,
  addSample,
  countStored,
  type Dimension,
  NONE,
  newTally,
  OTHER,
  type Sample,
  samplePrefix,
  type Tally,
} from '../../state/stats/tally.ts';
import { URGENCIES } from '../../state/tasks/task.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { type OrgKeys, orgKeysOf } from '../redis/keys.ts';
import { defineScript } from '../redis/scripts.ts';
import { addReadable, aggregateSamples, DAY, DayValues, HOUR, readSamples, tableName } from './sample-log.ts';
import { recordedValues } from './values.ts';

/** A longer log is added to the tallies before a query reads it. */
const MAX_LOG_LENGTH = 1000;
/** Most commits of one query that add samples. */
const MAX_AGGREGATIONS = 100;
/** Most buckets times values of one query. */
export const MAX_CELLS = 20_000;
/** Most groups of an answer, besides `OTHER`. */
export const MAX_RESPONSE_GROUPS = 100;

export interface StatsRange {
  interval: 'hour' | 'day';
  /** Start of the first bucket and end of the last, ms; multiples of the interval. */
  from: number;
  to: number;
}

/** The tallies of one bucket by value of the dimension. A value without any number is left out, unless it is the sum. */
export interface Bucket {
  /** ms */
  start: number;
  groups: Map<string, Tally>;
}

/** What is read of the numbers. */
export interface StatsView {
  dimension: Dimension;
  /** The values to count; null: all. */
  only: readonly string[] | null;
  /** Whether their sum is wanted, under the value `NONE`. */
  isSum: boolean;
}

/** Length of a bucket, ms. */
export function lengthOf(interval: StatsRange['interval']): number {
  return interval === 'hour' ? HOUR : DAY;
}

/** The query covers too many buckets and values; see `MAX_CELLS`. */
export class TooManyCellsError extends Error {}

/** What a bucket is made of, before it is added up: the values and what belongs to them. */
interface Parts {
  stored: { value: string; key: string; text: string }[];
  samples: { value: string; sample: Sample }[];
  created: { value: string; count: number }[];
}

/**
 * The numbers of a range, bucket by bucket: a bucket is added up when it is taken, because all of them at once would
 * take much memory. @throws TooManyCellsError, UnreadableRecord
 */
export async function loadStats(
  db: Db,
  orgId: string,
  range: StatsRange,
  view: StatsView,
): Promise<Iterable<Bucket>> {
  const { dimension, only, isSum } = view;
  const keys = orgKeysOf(db.prefix, orgId);
  await shortenLog(db, keys);
  const starts = startsOf(range);
  const values = isSum && only === null ? [] : await createdValues(db, orgId, range, dimension, only);
  if (starts.length * values.length > MAX_CELLS) throw new TooManyCellsError();
  const answers = await readAll(db, keys, range, view, values, starts);
  const buckets = new Map<number, Parts>(
    starts.map((start) => [start, { stored: [], samples: [], created: [] }]),
  );
  const partsOf = (start: number, value: string) =>
    only === null || only.includes(value) ? buckets.get(start) : undefined;
  for (const { key, day, fields } of answers.tallies)
    for (const [field, text] of Object.entries(fields)) {
      const isDay = range.interval === 'day';
      const start = isDay ? day * DAY : day * DAY + Number(field.slice(0, 2)) * HOUR;
      const value = isDay ? field : field.slice(3);
      partsOf(start, value)?.stored.push({ value, key: `${key} ${field}`, text });
    }
  const texts = answers.log.filter((text) => text.startsWith(samplePrefix(orgId)));
  const length = lengthOf(range.interval);
  for (const sample of readSamples(db, keys.statsLog, texts)) {
    const named = sample.groups[dimension];
    const known = answers.values.get(Math.floor(sample.at / DAY));
    if (named === undefined || known === undefined) continue;
    const value = known.groupOf(named);
    partsOf(Math.floor(sample.at / length) * length, value)?.samples.push({ value, sample });
  }
  for (const { start, value, count } of answers.created)
    if (count > 0) partsOf(start, value)?.created.push({ value, count });
  return tallied(db, buckets, isSum ? () => NONE : groupsOf(buckets.values()), isSum);
}

/** Adds up the buckets, oldest first. @param groupOf the group under which a value is counted. */
function* tallied(
  db: Db,
  buckets: ReadonlyMap<number, Parts>,
  groupOf: (value: string) => string,
  isSum: boolean,
): Iterable<Bucket> {
  for (const [start, { stored, samples, created }] of buckets) {
    const groups = new Map<string, Tally>(isSum ? [[NONE, newTally()]] : []);
    const tallyOf = (value: string): Tally => {
      const group = groupOf(value);
      const tally = groups.get(group) ?? newTally();
      groups.set(group, tally);
      return tally;
    };
    for (const { value, key, text } of stored) addReadable(db, key, tallyOf(value), text);
    for (const { value, sample } of samples) addSample(tallyOf(value), sample);
    for (const { value, count } of created) addCount(tallyOf(value), 'created', count);
    yield { start, groups };
  }
}

/** Keeps the `MAX_RESPONSE_GROUPS` values with the highest counts apart, and counts the others under `OTHER`. */
function groupsOf(buckets: Iterable<Parts>): (value: string) => string {
  const all = [...buckets];
  const values = new Set(
    all.flatMap((parts) => [...parts.stored, ...parts.samples, ...parts.created].map(({ value }) => value)),
  );
  values.delete(OTHER);
  if (values.size <= MAX_RESPONSE_GROUPS) return (value) => value;
  const counts = new Map<string, number>([...values].sort().map((value) => [value, 0]));
  const add = (value: string, count: number) => counts.set(value, (counts.get(value) ?? 0) + count);
  for (const { stored, samples, created } of all) {
    for (const { value, text } of stored) add(value, countStored(text));
    for (const { value, sample } of samples) add(value, sample.counts.length);
    for (const { value, count } of created) add(value, count);
  }
  counts.delete(OTHER);
  const ranked = [...counts].sort(([, one], [, other]) => other - one).slice(0, MAX_RESPONSE_GROUPS);
  const kept = new Set(ranked.map(([value]) => value));
  return (value) => (kept.has(value) ? value : OTHER);
}

/** Adds the samples of a long log to the tallies, in case no worker process has done so. */
async function shortenLog(db: Db, keys: OrgKeys): Promise<void> {
  for (let aggregations = 0; aggregations < MAX_AGGREGATIONS; aggregations += 1)
    if (
      (await db.redis.llen(keys.statsLog)) <= MAX_LOG_LENGTH ||
      (await aggregateSamples(db, keys.partition)) === 0
    )
      return;
}

function startsOf({ interval, from, to }: StatsRange): number[] {
  const length = lengthOf(interval);
  return Array.from({ length: Math.ceil((to - from) / length) }, (_, index) => from + index * length);
}

/** The values in whose indexes created tasks are counted: those with any in the range. */
async function createdValues(
  db: Db,
  orgId: string,
  { from, to }: StatsRange,
  dimension: Dimension,
  only: readonly string[] | null,
): Promise<string[]> {
  if (dimension === 'worker') return [];
  const keys = orgKeysOf(db.prefix, orgId);
  const all: readonly string[] =
    only ?? (dimension === 'urgency' ? URGENCIES : await recordedValues(db, orgId, dimension));
  const counts = await Promise.all(
    all.map((value) =>
      db.redis.zlexcount(keys.index(`${dimension}:${value}`), `[${idFloor(from)}`, `(${idFloor(to)}`),
    ),
  );
  return all.filter((_, index) => (counts[index] ?? 0) > 0);
}

interface Answers {
  log: string[];
  tallies: { key: string; day: number; fields: Record<string, string> }[];
  /** By day: the values that have a tally. */
  values: Map<number, DayValues>;
  created: { start: number; value: string; count: number }[];
}

// KEYS: the log, hashes, hashes whose fields' names are wanted, indexes. ARGV: numbers of both kinds of hashes, then bounds
// of intervals, ascending. Returns the log, what was read of each hash, and for each index the members in each interval.
const runReads = defineScript<[log: string[], tables: string[][], counts: number[][]]>(`
local hashes, named = tonumber(ARGV[1]), tonumber(ARGV[2])
local tables, counts = {}, {}
for i = 1, hashes do tables[i] = redis.call('HGETALL', KEYS[1 + i]) end
for i = hashes + 1, hashes + named do tables[i] = redis.call('HKEYS', KEYS[1 + i]) end
for i = hashes + named + 2, #KEYS do
  local inEach = {}
  for j = 3, #ARGV - 1 do
    inEach[j - 2] = redis.call('ZLEXCOUNT', KEYS[i], '[' .. ARGV[j], '(' .. ARGV[j + 1])
  end
  counts[#counts + 1] = inEach
end
return {redis.call('LRANGE', KEYS[1], 0, -1), tables, counts}
`);

/** Reads log, tallies and indexes in one step, during which no sample moves. */
async function readAll(
  db: Db,
  keys: OrgKeys,
  range: StatsRange,
  { dimension, only, isSum }: StatsView,
  values: readonly string[],
  starts: readonly number[],
): Promise<Answers> {
  const firstDay = Math.floor(range.from / DAY);
  const days = Array.from({ length: Math.ceil(range.to / DAY) - firstDay }, (_, at) => firstDay + at);
  const dayKeys = days.map((day) => keys.statsDay(tableName(dimension, day)));
  const isByDay = range.interval === 'day';
  const tallyKeys = isByDay ? dayKeys : days.map((day) => keys.statsHours(tableName(dimension, day)));
  // Urgencies are all listed, and a task has no worker when it is created.
  const hasRest = only === null && (isSum || (dimension !== 'worker' && dimension !== 'urgency'));
  const counted = [...values.map((value) => `${dimension}:${value}`), ...(hasRest ? ['all'] : [])];
  const [log, tables, counts] = await runReads(
    db.redis,
    [keys.statsLog, ...tallyKeys, ...(isByDay ? [] : dayKeys), ...counted.map(keys.index)],
    [tallyKeys.length, isByDay ? 0 : dayKeys.length, ...[...starts, range.to].map(idFloor)],
  );
  const tallies = tallyKeys.map((key, at) => ({
    key,
    day: days[at] ?? 0,
    fields: fieldsOf(tables[at] ?? []),
  }));
  const namesOf = (at: number) =>
    isByDay ? Object.keys(tallies[at]?.fields ?? {}) : (tables[days.length + at] ?? []);
  const dayValues = days.map((day, at) => [day, new DayValues(namesOf(at), namesOf(at).length)] as const);
  // Tasks without a pool, and those of values that are no longer recorded.
  const rest = dimension === 'pool' ? NONE : OTHER;
  return {
    log,
    tallies,
    values: new Map(dayValues),
    created: starts.flatMap((start, at) => {
      const listed = values.map((value, of) => ({ start, value, count: counts[of]?.[at] ?? 0 }));
      if (!hasRest) return listed;
      const sum = listed.reduce((all, { count }) => all + count, 0);
      return [...listed, { start, value: rest, count: (counts.at(-1)?.[at] ?? 0) - sum }];
    }),
  };
}

/** The fields of a hash from the flat reply of HGETALL. */
function fieldsOf(flat: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] ?? '', flat[2 * at + 1] ?? '']),
  );
}
