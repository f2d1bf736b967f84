// What the numbers of an org are made of. A commit that moves a task adds one sample: what it counts, and the times that
// ended with it. A tally is the sum of samples, for one hour or day and one value of a dimension.

import type { TaskEvent } from '../tasks/event.ts';
import { isGold } from '../tasks/gold.ts';
import { isFinal } from '../tasks/lifecycle.ts';
import { poolOf, startsAt, type Task } from '../tasks/task.ts';
import { broken, isObject, type Read, readJson } from '../text/forms.ts';
import { type Histogram, histogramOf, isHistogram, sumOf } from './histogram.ts';

/** By which numbers can be grouped. */
export const DIMENSIONS = ['urgency', 'domain', 'task_type', 'pool', 'worker'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** The value of tasks that have none, such as no pool. */
export const NONE = '';
/** The value that collects those beyond the limit; no slug and no id. */
export const OTHER = '*';

/**
 * - `waiting`: from the start of its clocks to the first acceptance.
 * - `handling`: from the start to a submission; of reworked tasks once for each submission.
 * - `total`: from the start of its clocks to the end; 0 if it ended before.
 */
const SPANS = ['waiting', 'handling', 'total'] as const;
type Span = (typeof SPANS)[number];

/** What a commit adds to the numbers. */
export interface Sample {
  org_id: string;
  /** ms; decides the hour and day. */
  at: number;
  /** The value of each dimension; a dimension that is left out does not count the sample. */
  groups: Partial<Record<Dimension, string>>;
  /** Counters that grow by one: `created`, `completed`, `cancelled`, `failed:<code>`, `breached:<clock>`. */
  counts: string[];
  /** Times, ms. */
  times: Partial<Record<Span, number>>;
}

/** Whether the numbers count the task. A task with copies is counted once, without its copies; gold tasks are not counted. */
export function isCounted(task: Task): boolean {
  return task.copy_of === undefined && !isGold(task);
}

/**
 * The sample of a change of a task; null when it moves no number. A creation has none: created tasks are counted in the
 * indexes (see `store/stats/stats.ts`).
 */
export function sampleOf(before: Task | null, task: Task, events: readonly TaskEvent[]): Sample | null {
  if (before === null || !isCounted(task)) return null;
  const at = task.updated_at;
  const counts = task.breaches.slice(before.breaches.length).map(({ clock }) => `breached:${clock}`);
  const times: Sample['times'] = {};
  const entered = (status: Task['status']) =>
    events.some((one) => one.type === `task.${status}` && one.previous_status !== status);
  // The attempt grows when an assigned task returns to the queue.
  if (entered('accepted') && before.attempt === 1 && before.assignment === null)
    times.waiting = at - startsAt(task);
  if (entered('submitted') && before.status === 'started') times.handling = at - before.status_changed_at;
  if (isFinal(task.status) && !isFinal(before.status)) {
    counts.push(task.failure === null ? task.status : `failed:${task.failure.code}`);
    times.total = Math.max(0, at - startsAt(task));
  }
  if (counts.length === 0 && Object.keys(times).length === 0) return null;
  const worker = (task.assignment ?? before.assignment)?.worker_id ?? NONE;
  return {
    org_id: task.org_id,
    at,
    groups: { ...groupsOf(task), worker },
    counts,
    times,
  };
}

/** The sample of a task that leaves the indexes of created tasks. @param at its creation, ms. */
export function purgedSample(task: Task, at: number): Sample {
  return { org_id: task.org_id, at, groups: groupsOf(task), counts: ['created'], times: {} };
}

/** The values of a task in the dimensions that do not depend on a worker. */
export function groupsOf(task: Task): Record<Exclude<Dimension, 'worker'>, string> {
  const { domain, task_type, sla } = task.input;
  return { urgency: sla.urgency, domain, task_type, pool: poolOf(task) ?? NONE };
}

/** Stored form of a sample: JSON that begins with the org. */
export function packSample({ org_id, at, groups, counts, times }: Sample): string {
  const values = DIMENSIONS.map((name) => groups[name] ?? null);
  return JSON.stringify([org_id, at, values, counts, SPANS.map((name) => times[name] ?? null)]);
}

/** How the stored samples of an org begin. */
export function samplePrefix(orgId: string): string {
  return `["${orgId}",`;
}

export function readSample(text: string): Read<Sample> {
  const json = readJson(text);
  if (json.kind !== 'known') return json;
  if (!Array.isArray(json.value)) return broken('not a list');
  const [org_id, at, values, counts, times]: unknown[] = json.value;
  if (typeof org_id !== 'string' || typeof at !== 'number') return broken('org or time is missing');
  if (!Array.isArray(values) || !Array.isArray(counts) || !Array.isArray(times))
    return broken('values, counters or times are missing');
  const sample: Sample = { org_id, at, groups: {}, counts: counts.map(String), times: {} };
  for (const [index, name] of DIMENSIONS.entries()) {
    const value: unknown = values[index];
    if (typeof value === 'string') sample.groups[name] = value;
  }
  for (const [index, name] of SPANS.entries()) {
    const time: unknown = times[index];
    if (typeof time === 'number') sample.times[name] = time;
  }
  return { kind: 'known', value: sample };
}

/** Histograms that a tally keeps before it adds them up, so that a sum of many does not hold them all. */
const MAX_PARTS = 32;

/** A sum of samples. */
export interface Tally {
  counts: Map<string, number>;
  /** Histograms, at most `MAX_PARTS`, that are added up when their sum is needed. */
  times: Record<Span, Histogram[]>;
}

export function newTally(): Tally {
  return { counts: new Map(), times: { waiting: [], handling: [], total: [] } };
}

export function addCount(tally: Tally, name: string, count = 1): void {
  if (count !== 0) tally.counts.set(name, (tally.counts.get(name) ?? 0) + count);
}

export function addSample(tally: Tally, sample: Sample): void {
  for (const name of sample.counts) addCount(tally, name);
  for (const name of SPANS) {
    const time = sample.times[name];
    if (time !== undefined) addTimes(tally.times[name], histogramOf(time));
  }
}

/** Adds `other` to `tally`. */
export function addTally(tally: Tally, other: Tally): void {
  for (const [name, count] of other.counts) addCount(tally, name, count);
  for (const name of SPANS) for (const times of other.times[name]) addTimes(tally.times[name], times);
}

function addTimes(parts: Histogram[], times: Histogram): void {
  if (parts.length === MAX_PARTS) parts.splice(0, MAX_PARTS, sumOf(parts));
  parts.push(times);
}

/** Stored form of a tally: JSON; absent parts are empty. */
export function packTally({ counts, times }: Tally): string {
  const packed = SPANS.flatMap((name) => (times[name].length > 0 ? [[name, sumOf(times[name])]] : []));
  return JSON.stringify({
    ...(counts.size > 0 && { n: Object.fromEntries(counts) }),
    ...Object.fromEntries(packed),
  });
}

/** Adds a stored tally to `tally`. @returns why it cannot be used; null when it was added. */
export function addStored(tally: Tally, text: string): Exclude<Read<never>, { kind: 'known' }> | null {
  const json = readJson(text);
  if (json.kind !== 'known') return json;
  if (!isObject(json.value)) return broken('not an object');
  const { n = {}, ...times } = json.value;
  if (!isObject(n)) return broken('its counters are malformed');
  const counts = Object.entries(n);
  if (!counts.every((one): one is [string, number] => Number.isInteger(one[1])))
    return broken('a counter is not a number');
  for (const name of SPANS)
    if (times[name] !== undefined && !isHistogram(times[name])) return broken('a histogram is malformed');
  for (const [name, count] of counts) addCount(tally, name, count);
  for (const name of SPANS) {
    const histogram = times[name];
    if (isHistogram(histogram)) addTimes(tally.times[name], histogram);
  }
  return null;
}

/** The sum of all counters of a stored tally; 0 when it cannot be used. Reads only the counters, which come first. */
export function countStored(text: string): number {
  if (!text.startsWith('{"n":{')) return 0;
  const json = readJson(text.slice('{"n":'.length, text.indexOf('}') + 1));
  if (json.kind !== 'known' || !isObject(json.value)) return 0;
  return Object.values(json.value).reduce<number>((sum, count) => sum + (Number(count) || 0), 0);
}
