// Deliveries as they are looked at: those of a task, those of an endpoint, the ones that were given up, and one
// by its id.

import type { HistoryEntry, Task } from '../../state/tasks/task.ts';
import { readJson, readShape } from '../../state/text/forms.ts';
import { isWanted } from '../commands/task-writes.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched, readableOrNull, required } from '../redis/unreadable.ts';
import { loadEvent, loadWhole } from '../tasks/tasks.ts';
import { loadDeliveries, type Message, requireDelivery, requireMessage } from './deliveries.ts';
import type { Delivery } from './delivery-record.ts';
import {
  type DeliveryTarget,
  deliveryId,
  fieldOf,
  PARKED,
  pendingMember,
  readField,
} from './delivery-target.ts';

export interface Listed {
  owed: DeliveryTarget;
  delivery: Delivery;
  /** When it is next to be tried, ms; null when it is settled, being tried right now, or waits for its receiver. */
  dueAt: number | null;
  event: Pick<HistoryEntry, 'event_id' | 'type'> & { at: number };
  /** Null for a message that is about no task. */
  task: Task | null;
}

/** All deliveries of a task, in the order of its events; null when there is no such task. */
export async function deliveriesOfTask(db: Db, orgId: string, taskId: string): Promise<Listed[] | null> {
  const [whole, recorded] = await Promise.all([
    loadWhole(db, orgId, taskId),
    loadDeliveries(db, orgId, taskId),
  ]);
  if (!whole) return null;
  const { task, history } = whole;
  const fields = history.filter((event) => isWanted(task, event)).map((event) => String(event.sequence));
  const found = [...new Set([...fields, ...recorded.keys()])].flatMap((field) => {
    const { sequence, endpoint_id } = readField(field);
    const event = history[sequence - 1];
    if (event === undefined) return [];
    const delivery = recorded.get(field) ?? NOT_TRIED;
    const owed: DeliveryTarget = { org_id: orgId, task_id: taskId, sequence, endpoint_id };
    return [{ owed, delivery, event: { ...event, at: Date.parse(event.at) }, task }];
  });
  found.sort((a, b) => a.owed.sequence - b.owed.sequence);
  return withDueTimes(db, orgId, found);
}

/** Several deliveries, in the order asked; null where there is none any more, or none that can be read. */
export async function loadListed(
  db: Db,
  orgId: string,
  all: readonly DeliveryTarget[],
): Promise<(Listed | null)[]> {
  const found = await Promise.all(all.map((owed) => readableOrNull(db, () => loadOne(db, owed))));
  const there = await withDueTimes(
    db,
    orgId,
    found.filter((one) => one !== null),
  );
  const byMember = new Map(there.map((one) => [pendingMember(one.owed), one]));
  return all.map((owed) => byMember.get(pendingMember(owed)) ?? null);
}

const NOT_TRIED: Delivery = { status: 'pending', attempts: [] };

type Undated = Omit<Listed, 'dueAt'>;

async function loadOne(db: Db, owed: DeliveryTarget): Promise<Undated | null> {
  const key = orgKeysOf(db.prefix, owed.org_id).deliveries(owed.task_id);
  const [recorded, about] = await Promise.all([
    fetched(key, db.redis.hgetBuffer(key, fieldOf(owed))),
    owed.sequence === 0 ? loadMessage(db, owed) : loadEvent(db, owed.org_id, owed.task_id, owed.sequence),
  ]);
  if (about === null) return null;
  const delivery = requireDelivery(`${key} ${fieldOf(owed)}`, recorded);
  if (!('task' in about)) {
    const { type } = required(
      key,
      readShape<{ type: string }>(required(key, readJson(about.body)), { type: 'string' }),
    );
    return { owed, delivery, event: { event_id: about.id, type, at: about.at }, task: null };
  }
  const { task, event } = about;
  if (recorded === null && (owed.endpoint_id !== undefined || !isWanted(task, event))) return null;
  return { owed, delivery, event: { ...event, at: Date.parse(event.at) }, task };
}

async function loadMessage(db: Db, owed: DeliveryTarget): Promise<Message | null> {
  const key = orgKeysOf(db.prefix, owed.org_id).message(owed.task_id);
  const text = await fetched(key, db.redis.hget(key, 'm'));
  return text === null ? null : requireMessage(key, text);
}

async function withDueTimes(db: Db, orgId: string, all: readonly Undated[]): Promise<Listed[]> {
  if (all.length === 0) return [];
  const members = all.map((one) => pendingMember(one.owed));
  const scores = await db.redis.zmscore(orgKeysOf(db.prefix, orgId).pendingDeliveries, ...members);
  return all.map((one, index) => {
    const score = scores[index] ?? null;
    // Half a millisecond marks a lease: an attempt is being made.
    const hasTime = score !== null && Number(score) % 1 === 0 && Number(score) < PARKED;
    const dueAt = hasTime ? Number(score) : null;
    return { ...one, dueAt: one.delivery.status === 'pending' ? dueAt : null };
  });
}

/** What a delivery with this id is of; null when there is none. Ids carry the time of their task's making. */
export async function findDelivery(db: Db, orgId: string, id: string): Promise<Listed | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const floor = id.slice(0, 13);
  const range = [`[${floor}`, `(${floor}~`] as const;
  const [tasks, messages] = await Promise.all([
    db.redis.zrangebylex(keys.index('all'), ...range),
    db.redis.zrangebylex(keys.index('messages'), ...range),
  ]);
  const sequence = Number.parseInt(id.slice(15, 18), 16);
  const isIt = (owed: DeliveryTarget) => deliveryId(owed) === id;
  const callbacks = tasks.map((task_id): DeliveryTarget => ({ org_id: orgId, task_id, sequence }));
  let owed = callbacks.find(isIt);
  if (owed === undefined) {
    const candidates = [...tasks, ...messages];
    const fields = await Promise.all(candidates.map((task) => db.redis.hkeys(keys.deliveries(task))));
    owed = candidates
      .flatMap((task_id, index) =>
        (fields[index] ?? [])
          .filter((field) => field !== 'gone')
          .map((field): DeliveryTarget => ({ org_id: orgId, task_id, ...readField(field) })),
      )
      .find(isIt);
  }
  if (owed === undefined) return null;
  const [found] = await loadListed(db, orgId, [owed]);
  return found ?? null;
}
