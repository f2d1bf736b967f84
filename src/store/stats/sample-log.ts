// Counts what happens to tasks, exactly once:
//
// 1. The commit that moves a task appends one sample to the log of the partition: one command.
// 2. `aggregateSamples` adds the first samples of the log to the tallies of their hour and day, and removes them from the log,
//    in one commit. Its guard is the number of such commits, so a repeated or concurrent one adds nothing twice.
// 3. A query reads the tallies and the rest of the log in one transaction (`stats.ts`).
//
// A day has at most `MAX_GROUPS` values of each dimension; further ones are counted under `OTHER`.

import {
  addSample,
  addStored,
  DIMENSIONS,
  type Dimension,
  newTally,
  OTHER,
  packSample,
  packTally,
  readSample,
  type Sample,
  type Tally,
} from '../../state/stats/tally.ts';
import { commit, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf, partitionKeys } from '../redis/keys.ts';
import { fetched, UnreadableRecord } from '../redis/unreadable.ts';
import { sampledValueWrites } from './values.ts';

export const HOUR = 3600_000;
export const DAY = 24 * HOUR;
/** How many days the tallies of days and of hours are kept. */
export const DAYS_KEPT = 400;
export const HOURS_KEPT_DAYS = 35;
/** Most values of a dimension in a day, besides `OTHER`. */
export const MAX_GROUPS = 200;
/** Most samples that are added in one commit. */
const BATCH = 500;

/** The write that appends a sample. */
export function sampleWrite(db: Db, sample: Sample): Write {
  return ['RPUSH', orgKeysOf(db.prefix, sample.org_id).statsLog, packSample(sample)];
}

/** Number of samples in the log of a partition. */
export function logLength(db: Db, partition: string): Promise<number> {
  const { statsLog } = partitionKeys(db.prefix, partition);
  return fetched(statsLog, db.redis.llen(statsLog));
}

/** The samples in these entries of the log. One that cannot be read is reported and left out. */
export function readSamples(db: Db, key: string, texts: readonly string[]): Sample[] {
  return texts.flatMap((text) => {
    const read = readSample(text);
    if (read.kind === 'known') return [read.value];
    db.onUnreadable?.(new UnreadableRecord(key, read));
    return [];
  });
}

/** Adds a stored tally to `tally`. One that cannot be read is reported and left out. */
export function addReadable(db: Db, key: string, tally: Tally, text: string): void {
  const unreadable = addStored(tally, text);
  if (unreadable !== null) db.onUnreadable?.(new UnreadableRecord(key, unreadable));
}

/** The values of a dimension that a day has, which decide under which value a sample is counted. */
export class DayValues {
  readonly #known: Set<string>;
  #room: number;

  /** @param known values of the day, at least those that will be asked for. @param count number of all its values. */
  constructor(known: Iterable<string>, count: number) {
    this.#known = new Set(known);
    this.#room = MAX_GROUPS - count;
  }

  /** The value itself, or `OTHER` when the day has no room for another one. */
  groupOf(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#room <= 0) return OTHER;
    this.#room -= 1;
    this.#known.add(value);
    return value;
  }
}

/** Name of the tallies of a day, or of its hours, by one dimension. @param day number since 1970. */
export function tableName(dimension: Dimension, day: number): string {
  return `${dimension}:${day}`;
}

/** Field of a tally in the hash of a day's hours. @param at ms. */
function hourField(at: number, value: string): string {
  return `${String(Math.floor(at / HOUR) % 24).padStart(2, '0')} ${value}`;
}

/** The samples of a commit that belong to one day of one org, in one dimension. */
interface Table {
  org_id: string;
  day: number;
  dimension: Dimension;
  samples: { value: string; sample: Sample }[];
}

/**
 * Adds the first samples of a partition's log to the tallies.
 * @returns how many were added; 0 also when another process was faster. @throws UnreadableRecord
 */
export async function aggregateSamples(db: Db, partition: string): Promise<number> {
  const { statsLog, statsVersion } = partitionKeys(db.prefix, partition);
  const [version, texts] = await Promise.all([
    fetched(statsVersion, db.redis.hget(statsVersion, 'v')),
    fetched(statsLog, db.redis.lrange(statsLog, 0, BATCH - 1)),
  ]);
  if (texts.length === 0) return 0;
  const aggregations = Number(version ?? 0);
  const tables = tablesOf(readSamples(db, statsLog, texts), db.clock.now());
  const writes = await Promise.all(tables.map((table) => tableWrites(db, table)));
  const isDone = await commit(db.redis, {
    guards: [{ kind: 'version', key: statsVersion, version: aggregations }],
    writes: [
      ...writes.flat(),
      ['LTRIM', statsLog, texts.length, -1],
      ['HSET', statsVersion, 'v', aggregations + 1],
    ],
  });
  return isDone ? texts.length : 0;
}

/** The samples by org, day and dimension, without those whose day is no longer kept. */
function tablesOf(samples: readonly Sample[], now: number): Table[] {
  const tables = new Map<string, Table>();
  for (const sample of samples) {
    const { org_id } = sample;
    const day = Math.floor(sample.at / DAY);
    if (endOf(day, DAYS_KEPT) <= now) continue;
    for (const dimension of DIMENSIONS) {
      const value = sample.groups[dimension];
      if (value === undefined) continue;
      const name = `${org_id} ${day} ${dimension}`;
      const table = tables.get(name) ?? { org_id, day, dimension, samples: [] };
      table.samples.push({ value, sample });
      tables.set(name, table);
    }
  }
  return [...tables.values()];
}

/** When what is kept for so many days after `day` expires, ms. */
export function endOf(day: number, days: number): number {
  return (day + 1 + days) * DAY;
}

async function tableWrites(db: Db, { org_id, day, dimension, samples }: Table): Promise<Write[]> {
  const keys = orgKeysOf(db.prefix, org_id);
  const key = keys.statsDay(tableName(dimension, day));
  const asked = [...new Set(samples.map(({ value }) => value))];
  const [count, texts] = await Promise.all([
    fetched(key, db.redis.hlen(key)),
    fetched(key, db.redis.hmget(key, ...asked, OTHER)),
  ]);
  const stored = new Map([...asked, OTHER].map((value, index) => [value, texts[index] ?? null]));
  const known = asked.filter((value) => typeof stored.get(value) === 'string');
  const values = new DayValues(known, count);
  const placed = samples.map(({ value, sample }) => ({ value: values.groupOf(value), sample }));
  const now = db.clock.now();
  const days = addAll(
    db,
    key,
    placed.map(({ value, sample }) => ({ field: value, sample })),
    stored,
  );
  const writes: Write[] = [
    ['HSET', key, ...days],
    ['PEXPIREAT', key, endOf(day, DAYS_KEPT)],
    ...sampledValueWrites(db, org_id, dimension, [...new Set(placed.map(({ value }) => value))], day * DAY),
  ];
  if (endOf(day, HOURS_KEPT_DAYS) <= now) return writes;
  const hoursKey = keys.statsHours(tableName(dimension, day));
  const ofHours = placed.map(({ value, sample }) => ({ field: hourField(sample.at, value), sample }));
  const fields = [...new Set(ofHours.map(({ field }) => field))];
  const hourTexts = await fetched(hoursKey, db.redis.hmget(hoursKey, ...fields));
  const hours = new Map(fields.map((field, index) => [field, hourTexts[index] ?? null]));
  return [
    ...writes,
    ['HSET', hoursKey, ...addAll(db, hoursKey, ofHours, hours)],
    ['PEXPIREAT', hoursKey, endOf(day, HOURS_KEPT_DAYS)],
  ];
}

/** Adds samples to the stored tallies of their fields. @returns the fields and new tallies, as `HSET` takes them. */
function addAll(
  db: Db,
  key: string,
  samples: readonly { field: string; sample: Sample }[],
  stored: ReadonlyMap<string, string | null>,
): string[] {
  const tallies = new Map<string, Tally>();
  for (const { field, sample } of samples) {
    let tally = tallies.get(field);
    if (tally === undefined) {
      tally = newTally();
      tallies.set(field, tally);
      const text = stored.get(field);
      if (typeof text === 'string') addReadable(db, `${key} ${field}`, tally, text);
    }
    addSample(tally, sample);
  }
  return [...tallies].flatMap(([field, tally]) => [field, packTally(tally)]);
}
