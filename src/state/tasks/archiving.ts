// Which finished tasks leave Redis for the archive, and which of them share a segment, the file that holds them. All tasks of a
// segment are purged at about the same time: it is dissolved before the first is, so a file never holds a purged task.

const DAY = 24 * 3600 * 1000;

/** Most tasks of a segment, and the fewest worth a file of their own. */
const MOST = 250;
const FEWEST = 50;
/** Most time between the first and the last purge of a segment's tasks, ms. */
const SPAN = 7 * DAY;
/** Fewer tasks than a segment should have wait for others so long, ms. */
const WAIT = 7 * DAY;
/** A segment is dissolved so long before its first purge, ms, so that a late run purges nothing late. */
const LEAD = 3600 * 1000;

/** A finished task; times in ms. */
export interface Candidate {
  task_id: string;
  /** When it changed last. */
  ended_at: number;
  /** When it is to be purged. */
  purge_at: number;
}

/** Whether a task that ended so long ago is archived: not shortly before its purge. @param after age from which it is, ms */
export function isDueForArchive({ ended_at, purge_at }: Candidate, now: number, after: number): boolean {
  return ended_at + after <= now && purge_at - LEAD - SPAN > now;
}

/**
 * Groups of tasks for segments. Tasks that are still too few wait for others, and are in no group.
 * @param candidates tasks that are due for the archive. @param after age from which tasks are archived, ms
 */
export function segmentGroups(candidates: readonly Candidate[], now: number, after: number): Candidate[][] {
  const groups: Candidate[][] = [];
  for (const one of candidates.toSorted((a, b) => a.purge_at - b.purge_at)) {
    const group = groups.at(-1);
    const first = group?.[0];
    if (group !== undefined && first && group.length < MOST && one.purge_at - first.purge_at <= SPAN)
      group.push(one);
    else groups.push([one]);
  }
  return groups.filter(
    (group) => group.length >= FEWEST || group.some((one) => one.ended_at + after + WAIT <= now),
  );
}

/** When a segment of these tasks is dissolved, ms. */
export function dissolvedAt(group: readonly Pick<Candidate, 'purge_at'>[]): number {
  return Math.min(...group.map((one) => one.purge_at)) - LEAD;
}
