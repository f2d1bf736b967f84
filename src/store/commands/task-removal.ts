// The writes that take a finished task out of Redis: its keys, its entries in indexes, and those of its deliveries in lists.

import { stateIndexesOf } from '../../state/tasks/attention.ts';
import type { HistoryEntry } from '../../state/tasks/event.ts';
import type { Task } from '../../state/tasks/task.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { retentionRemovals } from '../tasks/retention-index.ts';
import { DELIVERY_STATUSES } from '../webhooks/delivery-record.ts';
import {
  type DeliveryTarget,
  deadMember,
  deliveriesIndex,
  isParked,
  listedMember,
  pendingMember,
  readField,
} from '../webhooks/delivery-target.ts';
import { indexesOf } from './task-writes.ts';

/**
 * When the last pending delivery of the task is due, ms; null when none is pending; 0 when one is parked in a backlog,
 * so that its time is unknown.
 */
export async function lastDeliveryDue(db: Db, task: Task): Promise<number | null> {
  const { deliveries, pendingDeliveries: pendingKey } = orgKeysOf(db.prefix, task.org_id);
  const fields = await db.redis.hkeys(deliveries(task.task_id));
  const toEndpoints = fields.map(readField).filter((one) => one.endpoint_id !== undefined);
  const toCallback = Array.from({ length: task.sequence }, (_, index) => ({ sequence: index + 1 }));
  const { org_id, task_id } = task;
  const members = [...toCallback, ...toEndpoints].map((one) => pendingMember({ org_id, task_id, ...one }));
  const scores = await db.redis.zmscore(pendingKey, ...members);
  const dueTimes = scores.flatMap((score) => (score === null ? [] : [Number(score)]));
  if (dueTimes.length === 0) return null;
  const last = Math.max(...dueTimes);
  return isParked(last) ? 0 : last;
}

/**
 * Writes that remove the task's deliveries from lists.
 * @param fields names of the fields of its deliveries.
 */
export function deliveryListWrites(
  db: Db,
  task: Task,
  history: readonly HistoryEntry[],
  fields: readonly string[],
): Write[] {
  const { org_id, task_id } = task;
  const keys = orgKeysOf(db.prefix, org_id);
  return fields.flatMap((field): Write[] => {
    const target: DeliveryTarget = { org_id, task_id, ...readField(field) };
    const at = Date.parse(history[target.sequence - 1]?.at ?? '');
    if (Number.isNaN(at)) return [];
    const { endpoint_id: endpoint } = target;
    const dead: Write = ['ZREM', keys.dead, deadMember(target, at)];
    if (endpoint === undefined) return [dead];
    const listed = DELIVERY_STATUSES.map(
      (status): Write => ['ZREM', keys.index(deliveriesIndex(endpoint, status)), listedMember(target, at)],
    );
    return [dead, ...listed];
  });
}

/** Writes that remove the keys of a task, apart from its evidence, and its entries in indexes. */
export function taskRemovalWrites(db: Db, task: Task): Write[] {
  const { org_id, task_id } = task;
  const keys = orgKeysOf(db.prefix, org_id);
  return [
    ['UNLINK', keys.task(task_id)],
    ['UNLINK', keys.history(task_id)],
    ['UNLINK', keys.deliveries(task_id)],
    ['UNLINK', keys.ordering(task_id)],
    ['UNLINK', keys.messages(task_id)],
    ...(task.copies === undefined ? [] : [['UNLINK', keys.claims(task_id)] as const]),
    ...[...indexesOf(task), ...stateIndexesOf(task), `status:${task.status}`].map(
      (name): Write => ['ZREM', keys.index(name), task_id],
    ),
    ...(task.input.audit.log_required ? [] : retentionRemovals(db, { ...task, log: true })),
  ];
}
