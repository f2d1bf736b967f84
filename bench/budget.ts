// The budget: what a create and a whole life may cost in Redis. Counts of tasks that are measured one at a time are exact, so
// a single needless command is found on any machine.

import { type Life, stepCosts, total } from './life-steps.ts';
import type { Cost } from './measures.ts';

const BUDGET_ROWS = ['create', 'life', 'life_with_webhooks'] as const;
const FIELDS = ['commands', 'round_trips', 'bytes_in', 'bytes_out'] as const;

/** What is stored, in bytes of Redis. */
const STORED_ROWS = ['finished_task', 'pending_timer'] as const;

export type Budget = Record<(typeof BUDGET_ROWS)[number], Cost> &
  Record<(typeof STORED_ROWS)[number], { stored_bytes: number }>;

export interface BudgetLine {
  row: (typeof BUDGET_ROWS)[number] | (typeof STORED_ROWS)[number];
  field: keyof Cost | 'stored_bytes';
  measured: number;
  budget: number;
  verdict: 'exceeded' | 'met' | 'could be lowered';
}

/** Share by which the bytes may differ, by the digits of times and ids. */
const OF_BYTES = 0.01;
/**
 * Share by which commands and round trips of a life with webhooks may differ, because the jobs of its deliveries run in
 * parallel: less than three commands of each of the nine. Other counts are exact.
 */
const OF_PARALLEL_JOBS = { commands: 0.03, round_trips: 0.25 };

/** Share by which stored bytes may differ, by the steps in which Redis allocates and by the random levels of sorted sets. */
const OF_STORED = 0.02;

function tolerance(row: BudgetLine['row'], field: BudgetLine['field']): number {
  if (field === 'stored_bytes') return OF_STORED;
  if (field === 'bytes_in' || field === 'bytes_out') return OF_BYTES;
  return row === 'life_with_webhooks' ? OF_PARALLEL_JOBS[field] : 0;
}

/**
 * What a task costs that nothing else interferes with: the lower quartile of each step. Periodic work that runs meanwhile
 * adds to some of the measured lives, and jobs that happen to be fetched together are cheaper in a few.
 */
export function usualCosts(lives: {
  without: readonly Life[];
  hooked: readonly Life[];
}): Pick<Budget, (typeof BUDGET_ROWS)[number]> {
  const usual = (all: readonly Life[]) => stepCosts(all, lowerQuartile);
  const without = usual(lives.without);
  const create = without.get('create');
  if (create === undefined) throw new Error('no create was measured');
  return {
    create: costOf(create),
    life: costOf(total(without)),
    life_with_webhooks: costOf(total(usual(lives.hooked))),
  };
}

/** The value that a quarter of the values is below. */
export function lowerQuartile(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) / 4)] ?? 0;
}

function costOf({ commands, round_trips, bytes_in, bytes_out }: Cost): Cost {
  return { commands, round_trips, bytes_in, bytes_out };
}

/** Compares each figure with its budget. */
export function compareWithBudget(measured: Budget, budget: Budget): BudgetLine[] {
  const line = (row: BudgetLine['row'], field: BudgetLine['field'], is: number, may: number): BudgetLine => {
    const room = may * tolerance(row, field);
    const verdict = is > may + room ? 'exceeded' : is < may - room ? 'could be lowered' : 'met';
    return { row, field, measured: is, budget: may, verdict };
  };
  return [
    ...BUDGET_ROWS.flatMap((row) =>
      FIELDS.map((field) => line(row, field, measured[row][field], budget[row][field])),
    ),
    ...STORED_ROWS.map((row) =>
      line(row, 'stored_bytes', measured[row].stored_bytes, budget[row].stored_bytes),
    ),
  ];
}
