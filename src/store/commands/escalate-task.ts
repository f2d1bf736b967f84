// Plans the escalations of a task that are due, with what follows in the same commit: pending offers that no longer fit
// are revoked. A pool that no longer exists is skipped.

import type { Command } from '../../state/tasks/command.ts';
import { decide } from '../../state/tasks/decide.ts';
import { escalationOf, poolOf, type Task } from '../../state/tasks/task.ts';
import { offerTtlMs } from '../../state/workers/matching.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { nullIfBroken } from '../redis/unreadable.ts';
import { loadPool } from '../workers/pools.ts';
import type { Plan } from './change.ts';
import { revokeIneligibleOffers } from './ineligible-offers.ts';

/** The plan of all escalations that are due; null when none is. */
export async function planEscalations(db: Db, task: Task): Promise<Plan | null> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const by = { now: db.clock.now(), isClockFrozen: db.clock.isFrozen, actor: 'system', newId: () => '' };
  const commands: Command[] = [];
  const guards: Guard[] = [];
  let after = task;
  for (let next = nextOf(task); next !== null && next.at <= by.now; next = nextOf(after)) {
    const { urgency = after.input.sla.urgency, worker_pool_id } = next.escalation;
    const key = worker_pool_id === undefined ? null : keys.pool(worker_pool_id);
    const pool_gone = key !== null && (await db.redis.exists(key)) === 0;
    if (key !== null) guards.push({ kind: pool_gone ? 'absent' : 'present', key });
    const poolId = pool_gone || worker_pool_id === undefined ? poolOf(after) : worker_pool_id;
    const pool = poolId === null ? null : await nullIfBroken(db, () => loadPool(db, task.org_id, poolId));
    const ttlMs = offerTtlMs(urgency, pool?.offer_ttl_seconds ?? null);
    const command: Command = {
      name: 'escalate',
      number: (after.escalations ?? 0) + 1,
      pool_gone,
      offer_ttl_ms: ttlMs,
    };
    const decision = decide(after, [command], by);
    if (!decision.ok) break;
    commands.push(command);
    after = decision.task;
  }
  if (commands.length === 0) return null;
  if (poolOf(after) === poolOf(task)) return { commands, guards };
  const revoked = await revokeIneligibleOffers(db, task, after);
  return { commands: [...commands, ...revoked.commands], guards: [...guards, ...revoked.guards] };
}

function nextOf(task: Task) {
  return escalationOf(task, (task.escalations ?? 0) + 1);
}
