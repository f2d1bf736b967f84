// Compares two results of the benchmark and says which rows are worse or better beyond the spread of both. Rows with a
// baseline are compared by their ratio to it, so the machines need not be the same; the others by their value.

import type { Row, Summary } from './rounds.ts';

export interface Result {
  /** `load`: the load average of the machine before the run. */
  machine: { node: string; cpus: number; redis: string; load: number };
  at: string;
  is_quick: boolean;
  parts: Record<string, { rows: Row[] }>;
}

export interface Difference {
  part: string;
  name: string;
  before: Summary;
  after: Summary;
  /** What was compared. */
  by: 'ratio' | 'value';
  verdict: 'worse' | 'better' | 'same';
}

/** Differences below this share are noise, whatever the spread. */
const LEAST_SHARE = 0.02;

/** Compares the rows that both results have. */
export function compareResults(before: Result, after: Result): Difference[] {
  return Object.entries(after.parts).flatMap(([part, { rows }]) =>
    rows.flatMap((row): Difference[] => {
      const old = before.parts[part]?.rows.find(({ name }) => name === row.name);
      if (old === undefined) return [];
      const by = old.ratio !== null && row.ratio !== null ? 'ratio' : 'value';
      const [was, is] = [
        by === 'ratio' ? (old.ratio ?? old.ours) : old.ours,
        by === 'ratio' ? (row.ratio ?? row.ours) : row.ours,
      ];
      return [{ part, name: row.name, before: was, after: is, by, verdict: verdict(was, is, row.better) }];
    }),
  );
}

function verdict(before: Summary, after: Summary, better: Row['better']): Difference['verdict'] {
  const isApart = after.low > before.high || after.high < before.low;
  if (!isApart || Math.abs(after.median - before.median) <= LEAST_SHARE * Math.abs(before.median))
    return 'same';
  return after.median > before.median === (better === 'higher') ? 'better' : 'worse';
}
