// A run: work in the background that a client starts and follows, such as a replay. It is done in bounded steps, and its
// record holds its progress. Pure: how fast it goes, and how it ends.

/** What the record of every run has. Times in ms. */
export interface Run {
  org_id: string;
  version: number;
  status: string;
  reason: string | null;
  created_at: number;
  updated_at: number;
  finished_at: number | null;
}

/** How often the run of a suspended org checks whether it may go on, ms. */
export const REST_WHILE_SUSPENDED = 5000;

/** Delay before a step is repeated that another process committed first, ms. */
export const RETRY_AFTER_MS = 50;

/**
 * The pause after a step with which all running runs of an org together keep to a rate, ms.
 * @param items handled in the step. @param rate items per second. @param running number of running runs of the org.
 */
export function restFor(items: number, rate: number, running: number): number {
  return Math.ceil((items * 1000 * Math.max(1, running)) / rate);
}

/** Whether the run has ended, in whichever way. */
export function hasEnded({ status }: Pick<Run, 'status'>): boolean {
  return status !== 'pending' && status !== 'running';
}

/** The run, ended with this status. */
export function endedRun<R extends Run>(run: R, status: R['status'], reason: R['reason'], now: number): R {
  return { ...run, status, reason, version: run.version + 1, updated_at: now, finished_at: now };
}
