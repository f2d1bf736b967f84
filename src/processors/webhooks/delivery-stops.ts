// Stops pending deliveries of a receiver, step by step. A step walks on from the cursor and stops what it finds in small
// commits, each of which also counts. A delivery that an attempt is about to change is left for the next pass; the run
// ends after a pass that left none. So it can be killed, repeated and cancelled like a replay.

import { endedRun, RETRY_AFTER_MS } from '../../state/runs/run.ts';
import type { DeliveryStop } from '../../state/webhooks/replay.ts';
import { commit, merge } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { stopWrites, walkPending } from '../../store/webhooks/pending-walk.ts';
import { endWrites, stepWrites } from '../../store/webhooks/replays.ts';

/** Deliveries stopped in one commit. Few, because an attempt that starts meanwhile fails the whole commit. */
const BATCH = 10;
/** The pause between steps, and that before another pass, ms. */
const REST = 20;
const REST_BETWEEN_PASSES = 500;

/** Makes one step. @returns the delay until the next step, ms; null when the run has ended. */
export async function stepStop(db: Db, stop: DeliveryStop): Promise<number | null> {
  const walk = await walkPending(db, stop);
  let current = { ...stop, busy: stop.busy + walk.busy };
  for (let at = 0; at < walk.found.length; at += BATCH) {
    const batch = walk.found.slice(at, at + BATCH);
    const after = advanced(db, current, { sent: current.sent + batch.length });
    const step = stepWrites(db, current, after, [], after.updated_at + REST);
    if (await commit(db.redis, merge(step, await stopWrites(db, stop, batch)))) current = after;
    else current = { ...current, busy: current.busy + batch.length };
  }
  const isLastOfPass = walk.cursor === null;
  const after = advanced(db, current, {
    cursor: walk.cursor,
    examined: current.examined + walk.examined,
    busy: isLastOfPass ? 0 : current.busy,
  });
  const rest = isLastOfPass ? REST_BETWEEN_PASSES : REST;
  if (isLastOfPass && current.busy === 0) {
    const ended = endedRun({ ...after, version: current.version }, 'completed', null, after.updated_at);
    return (await commit(db.redis, endWrites(db, current, ended))) ? null : RETRY_AFTER_MS;
  }
  const step = stepWrites(db, current, after, [], after.updated_at + rest);
  return (await commit(db.redis, step)) ? rest : RETRY_AFTER_MS;
}

function advanced(db: Db, stop: DeliveryStop, change: Partial<DeliveryStop>): DeliveryStop {
  return { ...stop, ...change, version: stop.version + 1, updated_at: db.clock.now() };
}
