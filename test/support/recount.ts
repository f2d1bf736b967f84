// Counts the numbers of `GET /v1/stats` again from the histories of all tasks, and compares. It shares no code with the
// numbers themselves.
import type { HistoryEntry } from '../../src/state/tasks/event.ts';

interface Times {
  count: number;
  p50: number | null;
  p90: number | null;
  p99: number | null;
}

/** A row of the numbers, as the API shows it. */
export interface StatsRow {
  start?: string;
  group: string | null;
  is_other: boolean;
  created: number | null;
  completed: number;
  failed: Record<string, number>;
  cancelled: number;
  breached: { target_latency: number; deadline: number };
  waiting_seconds: Times;
  handling_seconds: Times;
  total_seconds: Times;
}

export interface StatsAnswer {
  from: string;
  to: string;
  totals: StatsRow[];
  data: StatsRow[];
}

type Entry = Pick<HistoryEntry, 'type' | 'at' | 'data'>;

/** Largest relative error of a quantile, as the contract promises. */
const ERROR = 0.03;

interface Recount {
  counts: Omit<StatsRow, 'group' | 'is_other' | 'waiting_seconds' | 'handling_seconds' | 'total_seconds'>;
  /** ms */
  times: Record<'waiting' | 'handling' | 'total', number[]>;
}

function recount(histories: readonly (readonly Entry[])[]): Recount {
  const counts: Recount['counts'] = {
    created: 0,
    completed: 0,
    failed: {},
    cancelled: 0,
    breached: { target_latency: 0, deadline: 0 },
  };
  const times: Recount['times'] = { waiting: [], handling: [], total: [] };
  for (const history of histories) {
    let [created, started, isAccepted] = [0, 0, false];
    for (const { type, at, data } of history) {
      const time = Date.parse(at);
      switch (type) {
        case 'task.created':
          counts.created = (counts.created ?? 0) + 1;
          created = time;
          break;
        case 'task.accepted':
          if (!isAccepted) times.waiting.push(time - created);
          isAccepted = true;
          break;
        case 'task.started':
          started = time;
          break;
        case 'task.submitted':
          times.handling.push(time - started);
          break;
        case 'task.sla_breached':
          counts.breached[data.clock === 'deadline' ? 'deadline' : 'target_latency'] += 1;
          break;
        case 'task.failed': {
          const { code } = data.failure as { code: string };
          counts.failed[code] = (counts.failed[code] ?? 0) + 1;
          times.total.push(time - created);
          break;
        }
        case 'task.completed':
        case 'task.cancelled':
          counts[type === 'task.completed' ? 'completed' : 'cancelled'] += 1;
          times.total.push(time - created);
      }
    }
  }
  return { counts, times };
}

/** How a row differs from the histories of all tasks that it is about, one sentence each. */
export function differences(row: StatsRow, histories: readonly (readonly Entry[])[]): string[] {
  const { counts, times } = recount(histories);
  const { created, completed, failed, cancelled, breached } = row;
  const shown = JSON.stringify(sorted({ created, completed, failed, cancelled, breached }));
  const faults = shown === JSON.stringify(sorted(counts)) ? [] : [`${shown}, not ${JSON.stringify(counts)}`];
  for (const span of ['waiting', 'handling', 'total'] as const) {
    const exact = times[span].toSorted((one, other) => one - other);
    const found = row[`${span}_seconds`];
    if (found.count !== exact.length) faults.push(`${found.count} times of ${span}, not ${exact.length}`);
    for (const [name, q] of [
      ['p50', 0.5],
      ['p90', 0.9],
      ['p99', 0.99],
    ] as const) {
      const ms = exact[Math.floor(q * (exact.length - 1))];
      const shownMs = found[name] === null ? undefined : found[name] * 1000;
      // A time of less than a millisecond counts as one.
      const isNear =
        ms === undefined || shownMs === undefined
          ? ms === shownMs
          : Math.abs(shownMs - Math.max(ms, 1)) <= ERROR * Math.max(ms, 1);
      if (!isNear) faults.push(`${name} of ${span} is ${shownMs} ms, not ${ms} ms`);
    }
  }
  return faults;
}

function sorted(counts: Recount['counts']): object {
  return { ...counts, failed: Object.fromEntries(Object.entries(counts.failed).sort()) };
}
