// The public JSON of a worker.

import { inBoth } from '../access/permission.ts';
import { timestamp } from '../text/time.ts';
import { accuracyOf, ratesOf } from './track-record.ts';
import type { Worker } from './worker.ts';

/** A worker as they and their managers see them. @param viewer is shown only the pools that they may see. */
export function workerView(worker: Worker, viewer: { pools: readonly string[] }): object {
  const {
    org_id: _org,
    version: _version,
    incarnation: _incarnation,
    pool_ids,
    unpooled_tasks = true,
    reservations,
    track,
    idle_since: _idle,
    created_at,
    updated_at,
    ...shown
  } = worker;
  return {
    ...shown,
    pool_ids: inBoth(pool_ids, viewer.pools),
    unpooled_tasks,
    active_tasks: reservations.length,
    rating_count: track.reviews,
    ...ratesOf(track),
    ...accuracyOf(track),
    created_at: timestamp(created_at),
    updated_at: timestamp(updated_at),
  };
}
