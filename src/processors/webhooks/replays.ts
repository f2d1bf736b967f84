// Runs a replay step by step, until everything is sent or the replay is stopped.
//
// 1. A step checks the outcome of what it sent before, and walks on from the cursor.
// 2. One commit enqueues the deliveries found, moves the cursor past them and counts them, guarded by the replay's
//    version. A step killed before the commit has done nothing, and one killed after it is followed by the next. So a
//    replay sends no event twice, even if its job is repeated or duplicated.
// 3. Then the replay rests: all replays of an org together keep to a rate, and a replay waits while too many of its
//    deliveries have not been attempted yet, so that a slow receiver is not flooded, and while its org is suspended.
//
// Its job can be lost like any other; the sweeper finds the replay by when its next step is due.

import type { Job } from 'bullmq';
import type { ReplayJob } from '../../queues/catalogue.ts';
import { putOffJob } from '../../queues/redis-time.ts';
import { endedRun, REST_WHILE_SUSPENDED, RETRY_AFTER_MS } from '../../state/runs/run.ts';
import type { Endpoint } from '../../state/webhooks/endpoint.ts';
import {
  type AnyReplay,
  isStop,
  REPLAY_AHEAD,
  REPLAY_STEP,
  type Redelivery,
  type Replay,
  restAfter,
} from '../../state/webhooks/replay.ts';
import { isSuspended, notSuspended } from '../../store/identity/suspension.ts';
import { type Change, commit, merge } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { orgKeysOf } from '../../store/redis/keys.ts';
import { nullIfUnreadable } from '../../store/redis/unreadable.ts';
import { walkDeadLetters } from '../../store/webhooks/dead-letter-walk.ts';
import { requireDelivery } from '../../store/webhooks/deliveries.ts';
import { fieldOf } from '../../store/webhooks/delivery-target.ts';
import { endpointAsLoaded, loadEndpoint } from '../../store/webhooks/endpoints.ts';
import { resendWrites } from '../../store/webhooks/fan-out.ts';
import { type Found, type Walk, walkOn } from '../../store/webhooks/replay-walk.ts';
import {
  type Awaited,
  endWrites,
  loadAwaited,
  loadReplay,
  pendingDeliveries,
  replaysUnderWay,
  stepWrites,
} from '../../store/webhooks/replays.ts';
import { stepStop } from './delivery-stops.ts';

/** Runs a replay's job: one step, then a delay until the next. */
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

/** Makes one step. @returns the delay until the next step, ms; null when the replay has ended. */
export async function stepReplay(db: Db, orgId: string, replayId: string): Promise<number | null> {
  const replay = await loadReplay(db, orgId, replayId);
  if (replay === null || replay.status !== 'running') {
    // A member without a running replay is left behind by a partly restored Redis.
    await db.redis.zrem(orgKeysOf(db.prefix, orgId).replays, `${orgId} ${replayId}`);
    return null;
  }
  if (await isSuspended(db, orgId)) return REST_WHILE_SUSPENDED;
  return isStop(replay) ? stepStop(db, replay) : stepSending(db, replay);
}

/** Makes one step of a run that sends deliveries. */
async function stepSending(db: Db, replay: Replay | Redelivery): Promise<number | null> {
  const { org_id: orgId } = replay;
  const [endpoint, awaited] = await Promise.all([
    replay.endpoint_id === null ? null : loadEndpoint(db, orgId, replay.endpoint_id),
    loadAwaited(db, replay),
  ]);
  const { still, succeeded, failed } = await outcomesOf(db, replay, awaited);
  const counted: Replay | Redelivery = {
    ...replay,
    succeeded: replay.succeeded + succeeded,
    failed: replay.failed + failed,
  };
  if (replay.endpoint_id !== null && !endpoint?.enabled) {
    const reason = endpoint === null ? 'endpoint_deleted' : 'endpoint_disabled';
    return end(db, replay, endedRun(counted, 'stopped', reason, db.clock.now()));
  }
  const freeSlots = Math.min(REPLAY_STEP, REPLAY_AHEAD - still.length);
  const isWaiting = replay.walked || freeSlots < REPLAY_STEP / 2;
  if (replay.walked && still.length === 0) {
    const pending = replay.sent === 0 ? await pendingDeliveries(db, replay) : undefined;
    const whole = pending === undefined ? counted : { ...counted, pending };
    return end(db, replay, endedRun(whole, 'completed', null, db.clock.now()));
  }
  const walk = isWaiting ? null : await walkFurther(db, replay, endpoint, freeSlots);
  return commitStep(db, replay, counted, still, walk);
}

function walkFurther(
  db: Db,
  replay: Replay | Redelivery,
  endpoint: Endpoint | null,
  most: number,
): Promise<Walk> {
  if (replay.endpoint_id === null) return walkDeadLetters(db, replay, most);
  if (endpoint === null) throw new Error('a replay to an endpoint walks without it');
  return walkOn(db, replay, endpoint, most);
}

async function end(db: Db, before: AnyReplay, after: AnyReplay): Promise<number | null> {
  return (await commit(db.redis, endWrites(db, before, after))) ? null : RETRY_AFTER_MS;
}

/** Commits a step. @param walk null while the replay waits. */
async function commitStep(
  db: Db,
  before: AnyReplay,
  counted: AnyReplay,
  still: readonly Awaited[],
  walk: Walk | null,
): Promise<number> {
  const { replay_id, org_id } = before;
  const { found = [], endpoints = [], ...way } = walk ?? {};
  const now = db.clock.now();
  const rest = restAfter(found.length, walk === null, await replaysUnderWay(db, org_id));
  const after: AnyReplay = {
    ...counted,
    ...way,
    examined: before.examined + (walk?.examined ?? 0),
    sent: before.sent + found.length,
    version: before.version + 1,
    updated_at: now,
  };
  const sent = found.map(({ target, delivery }): Awaited => {
    const { task_id, sequence, endpoint_id } = target;
    const receiver = before.endpoint_id === null && endpoint_id !== undefined ? { endpoint_id } : {};
    return { task_id, sequence, ...receiver, attempts: delivery?.attempts.length ?? 0 };
  });
  return (await commit(
    db.redis,
    merge(
      // Nothing is sent to an endpoint that was removed or disabled meanwhile, nor for a suspended org.
      {
        guards: [...endpoints.map((one) => endpointAsLoaded(db, one)), notSuspended(db, org_id)],
        writes: [],
      },
      stepWrites(db, before, after, [...still, ...sent], now + rest),
      ...found.map((one) => sendWrites(db, one, `replay-${replay_id}`)),
    ),
  ))
    ? rest
    : RETRY_AFTER_MS;
}

function sendWrites(db: Db, found: Found, jobSuffix: string): Change {
  const { target, stored, delivery, eventAt, finalVersion } = found;
  const before = stored === null || delivery === null ? null : { stored, delivery };
  const { guards, writes } = resendWrites(db, target, before, eventAt, jobSuffix);
  if (finalVersion === null) return { guards, writes };
  // If the task was purged meanwhile, its new delivery would never be removed.
  const key = orgKeysOf(db.prefix, target.org_id).task(target.task_id);
  return { guards: [...guards, { kind: 'version', key, version: finalVersion }], writes };
}

/** Counts awaited deliveries by the outcome of their first attempt since; `still` lists those not attempted yet. */
async function outcomesOf(
  db: Db,
  replay: AnyReplay,
  awaited: readonly Awaited[],
): Promise<{ succeeded: number; failed: number; still: Awaited[] }> {
  const keys = orgKeysOf(db.prefix, replay.org_id);
  const stored = await Promise.all(
    awaited.map(({ task_id, sequence, endpoint_id = replay.endpoint_id ?? undefined }) =>
      db.redis.hgetBuffer(keys.deliveries(task_id), fieldOf({ sequence, endpoint_id })),
    ),
  );
  const still: Awaited[] = [];
  let succeeded = 0;
  for (const [index, one] of awaited.entries()) {
    const text = stored[index] ?? null;
    const { task_id } = one;
    const delivery = await nullIfUnreadable(db, async () => requireDelivery(keys.deliveries(task_id), text));
    // A delivery that cannot be read is not awaited.
    if (delivery === null) continue;
    const { status, attempts } = delivery;
    if (status === 'succeeded') succeeded += 1;
    // A delivery that was purged with its task is not awaited.
    else if (text !== null && status === 'pending' && attempts.length === one.attempts) still.push(one);
  }
  return { succeeded, failed: awaited.length - succeeded - still.length, still };
}
