// Moments: all checks of a partition that are due within a twentieth of a second are run by one job at its end, because a
// job of its own would cost each of them more than the check itself.

/** Checks that are due within this time share a job, ms. A single check is so much later at most. */
export const MOMENT_MS = 50;
/** The job of a moment that is nearer than this may have looked at the index already, ms: the clocks of processes differ. */
export const SAFE_AHEAD_MS = 20;

/** The moment of a check: the end of its time, or of the present one if the check is overdue. @param now ms */
export function momentOf(at: number, now: number): number {
  return Math.ceil(Math.max(at, now + SAFE_AHEAD_MS) / MOMENT_MS) * MOMENT_MS;
}
