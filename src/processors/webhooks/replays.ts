// Takes a replay from step to step, until there is nothing left or it is ended.
//
// 1. A step looks what became of what was sent before, and looks on behind the cursor.
// 2. One commit owes what is to be sent, moves the cursor past it and counts it, guarded by the replay's version:
//    killed before it, a step has done nothing; after it, the next goes on behind. So a replay sends no event twice,
//    however often its job is repeated, or made twice.
// 3. It rests, so that all replays of an org together keep to a rate, and as long as too much of what it sent has
//    not been tried yet: a receiver that is slow or away is not buried.
//
// Its job can be lost like any other; the sweeper finds the replay by when its next step is due.

import type { Job } from 'bullmq';
import type { ReplayJob } from '../../queues/catalogue.ts';
import { putOffJob } from '../../queues/redis-time.ts';
import type { Endpoint } from '../../state/webhooks/endpoint.ts';
import { REPLAY_AHEAD, REPLAY_STEP, type Replay, restAfter } from '../../state/webhooks/replay.ts';
import { type Change, commit, together } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { orgKeysOf } from '../../store/redis/keys.ts';
import { readableOrNull } from '../../store/redis/unreadable.ts';
import { requireDelivery } from '../../store/webhooks/deliveries.ts';
import { fieldOf } from '../../store/webhooks/delivery-target.ts';
import { endpointAsLoaded, loadEndpoint } from '../../store/webhooks/endpoints.ts';
import { resendWrites } from '../../store/webhooks/fan-out.ts';
import { type Found, type Walk, walkOn } from '../../store/webhooks/replay-walk.ts';
import {
  type Awaited,
  ended,
  endWrites,
  loadAwaited,
  loadReplay,
  replaysUnderWay,
  stepWrites,
} from '../../store/webhooks/replays.ts';

/** When a step is made again that somebody else made first, ms. */
const AGAIN = 50;

/** Runs a replay's job: one step, and a rest until the next. */
export async function runReplayJob(
  db: Db,
  { org_id, replay_id }: ReplayJob,
  job: Pick<Job, 'moveToDelayed'>,
  token: string | undefined,
): Promise<void> {
  const rest = await stepReplay(db, org_id, replay_id);
  if (rest === null) return;
  await putOffJob(job, rest, token);
}

/** Makes one step. @returns how long to rest until the next, ms; null when there is none. */
export async function stepReplay(db: Db, orgId: string, replayId: string): Promise<number | null> {
  const replay = await loadReplay(db, orgId, replayId);
  if (replay === null || replay.status !== 'running') {
    // Only what a partly restored Redis leaves behind still stands there.
    await db.redis.zrem(orgKeysOf(db.prefix, orgId).replays, `${orgId} ${replayId}`);
    return null;
  }
  const [endpoint, awaited] = await Promise.all([
    loadEndpoint(db, orgId, replay.endpoint_id),
    loadAwaited(db, replay),
  ]);
  const { still, succeeded, failed } = await outcomesOf(db, replay, awaited);
  const counted: Replay = {
    ...replay,
    succeeded: replay.succeeded + succeeded,
    failed: replay.failed + failed,
  };
  if (endpoint === null || !endpoint.enabled) {
    const reason = endpoint === null ? 'endpoint_deleted' : 'endpoint_disabled';
    return end(db, replay, ended(counted, 'stopped', reason, db.clock.now()));
  }
  const room = Math.min(REPLAY_STEP, REPLAY_AHEAD - still.length);
  const isWaiting = replay.walked || room < REPLAY_STEP / 2;
  if (replay.walked && still.length === 0)
    return end(db, replay, ended(counted, 'completed', null, db.clock.now()));
  const walk = isWaiting ? null : await walkOn(db, replay, endpoint, room);
  return goOn(db, endpoint, replay, counted, still, walk);
}

async function end(db: Db, before: Replay, after: Replay): Promise<number | null> {
  const { guards, writes } = endWrites(db, before, after);
  return (await commit(db.redis, guards, writes)) ? null : AGAIN;
}

/** @param walk null while it waits. */
async function goOn(
  db: Db,
  endpoint: Endpoint,
  before: Replay,
  counted: Replay,
  still: readonly Awaited[],
  walk: Walk | null,
): Promise<number> {
  const { replay_id, org_id } = before;
  const { found = [], ...way } = walk ?? {};
  const now = db.clock.now();
  const rest = restAfter(found.length, walk === null, await replaysUnderWay(db, org_id));
  const after: Replay = {
    ...counted,
    ...way,
    examined: before.examined + (walk?.examined ?? 0),
    sent: before.sent + found.length,
    version: before.version + 1,
    updated_at: now,
  };
  const sent = found.map(({ owed, delivery }): Awaited => {
    const { task_id, sequence } = owed;
    return { task_id, sequence, attempts: delivery?.attempts.length ?? 0 };
  });
  const { guards, writes } = together(
    // Removed or disabled meanwhile, it is sent nothing more.
    { guards: [endpointAsLoaded(db, endpoint)], writes: [] },
    stepWrites(db, before, after, [...still, ...sent], now + rest),
    ...found.map((one) => sendWrites(db, one, `replay-${replay_id}`)),
  );
  return (await commit(db.redis, guards, writes)) ? rest : AGAIN;
}

function sendWrites(db: Db, found: Found, again: string): Change {
  const { owed, stored, delivery, eventAt, finalVersion } = found;
  const before = stored === null || delivery === null ? null : { stored, delivery };
  const { guards, writes } = resendWrites(db, owed, before, eventAt, again);
  if (finalVersion === null) return { guards, writes };
  // Purged meanwhile, it would leave a delivery behind that nobody removes.
  const key = orgKeysOf(db.prefix, owed.org_id).task(owed.task_id);
  return { guards: [...guards, { kind: 'version', key, version: finalVersion }], writes };
}

/** What the first attempt of each came to, and what has not been tried yet. */
async function outcomesOf(
  db: Db,
  { org_id, endpoint_id }: Replay,
  awaited: readonly Awaited[],
): Promise<{ succeeded: number; failed: number; still: Awaited[] }> {
  const keys = orgKeysOf(db.prefix, org_id);
  const stored = await Promise.all(
    awaited.map(({ task_id, sequence }) =>
      db.redis.hgetBuffer(keys.deliveries(task_id), fieldOf({ sequence, endpoint_id })),
    ),
  );
  const still: Awaited[] = [];
  let succeeded = 0;
  for (const [index, one] of awaited.entries()) {
    const text = stored[index] ?? null;
    const { task_id } = one;
    const delivery = await readableOrNull(db, async () => requireDelivery(keys.deliveries(task_id), text));
    // What cannot be read is not waited for.
    if (delivery === null) continue;
    const { status, attempts } = delivery;
    if (status === 'succeeded') succeeded += 1;
    // Purged with its task meanwhile, it is not waited for.
    else if (text !== null && status === 'pending' && attempts.length === one.attempts) still.push(one);
  }
  return { succeeded, failed: awaited.length - succeeded - still.length, still };
}
