// Records of runs (`state/runs/run.ts`): the record, a list of the newest, and a sorted set of those under way, scored by
// when the next step is due, so that a lost job can be added again.

import type { Run } from '../../state/runs/run.ts';
import type { Change, Write } from './commit.ts';
import type { Db } from './connection.ts';
import { idFloor } from './ids.ts';
import { recordWrites } from './records.ts';

/** How long a run is kept after its end, ms. */
const KEPT = 30 * 24 * 3600 * 1000;
/** Runs kept in a list. */
const MAX_KEPT = 100;

/** The keys of a run. */
export interface RunKeys {
  id: string;
  /** Hash: the record. */
  record: string;
  /** Sorted set by text: the ids of the list. */
  index: string;
  /** Sorted set of the partition: `<org> <id>` of runs under way. */
  underWay: string;
}

/** Ids of the oldest runs of a list, which are removed when another one starts. */
export function oldRuns(db: Db, index: string): Promise<string[]> {
  return db.redis.zrange(index, 0, `${-MAX_KEPT}`);
}

/** Guards and writes that start a run. @param old ids and records of the runs to remove, from `oldRuns`. */
export function runStarted(keys: RunKeys, run: Run, old: readonly { id: string; record: string }[]): Change {
  const { id, record, index, underWay } = keys;
  const { guards, writes } = recordWrites(record, 0, run);
  return {
    guards,
    writes: [
      ...writes,
      ['ZADD', index, 0, id],
      ...old.flatMap((one): Write[] => [
        ['ZREM', index, one.id],
        ['DEL', one.record],
      ]),
      ['ZREMRANGEBYLEX', index, '-', `(${idFloor(run.created_at - 2 * KEPT)}`],
      ['ZADD', underWay, run.created_at, `${run.org_id} ${id}`],
    ],
  };
}

/** Guards and writes of the end of a step. @param dueAt when the next step is due, ms. */
export function runStepped(keys: RunKeys, before: Run, after: Run, dueAt: number): Change {
  const { guards, writes } = recordWrites(keys.record, before.version, after);
  return { guards, writes: [...writes, ['ZADD', keys.underWay, dueAt, `${after.org_id} ${keys.id}`]] };
}

/** Guards and writes that end a run. */
export function runEnded(keys: RunKeys, before: Run, after: Run): Change {
  const { guards, writes } = recordWrites(keys.record, before.version, after);
  return {
    guards,
    writes: [
      ...writes,
      ['PEXPIRE', keys.record, KEPT],
      ['ZREM', keys.underWay, `${after.org_id} ${keys.id}`],
    ],
  };
}
