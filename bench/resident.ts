// The resident memory of a web and a worker process, compared with an earlier moment of the same processes.

import { residentMegabytes } from './processes.ts';
import { type Row, row } from './rounds.ts';
import type { Child } from './stage.ts';

/** Most that each may have, MB. */
const LIMITS = { web: 150, worker: 200 };
type Kind = keyof typeof LIMITS;
const KINDS = Object.keys(LIMITS) as Kind[];

/** Values in MB, in the order in which they were measured. */
export type Resident = Record<Kind, number[]>;

/** Measures both processes and adds what they have. */
export async function addResident(to: Resident, processes: Record<Kind, Child>): Promise<void> {
  for (const kind of KINDS) to[kind].push(await residentMegabytes(processes[kind].pid));
}

/**
 * A row for each process.
 * @param when completes its name. @param what the baseline is. @param values picks those of the row, and those of the baseline
 */
export function residentRows(
  resident: Resident,
  when: string,
  what: string,
  values: (of: readonly number[]) => { ours: number[]; base: number[] },
): Row[] {
  return KINDS.map((kind) => {
    const { ours, base } = values(resident[kind]);
    const name = `resident memory of a ${kind} process${when}`;
    return row([name, 'MB', 'lower'], ours, { what, values: base }, `flat; ${LIMITS[kind]} MB`);
  });
}
