// Reads deliveries for the API: those of a task, those in a list (of an endpoint, or exhausted), and one by its id.

import type { HistoryEntry } from '../../state/tasks/event.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import type { Task } from '../../state/tasks/task.ts';
import { readJson, readShape } from '../../state/text/forms.ts';
import { callbackWants } from '../../state/webhooks/callback-events.ts';
import { ARCHIVED, fieldIn, pairsOf, readArchivedMember } from '../redis/archive.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched, nullIfUnreadable, required } from '../redis/unreadable.ts';
import { liveOrArchived } from '../tasks/archived.ts';
import { loadEvent, loadWhole } from '../tasks/tasks.ts';
import { loadDeliveries, type Message, requireDelivery, requireMessage } from './deliveries.ts';
import type { Delivery } from './delivery-record.ts';
import {
  type DeliveryTarget,
  deliveryId,
  fieldOf,
  isParked,
  pendingMember,
  readField,
} from './delivery-target.ts';

export interface Listed {
  target: DeliveryTarget;
  delivery: Delivery;
  /** When the next attempt is due, ms; null when settled, during an attempt, or parked in the backlog. */
  dueAt: number | null;
  event: Pick<HistoryEntry, 'event_id' | 'type'> & { at: number };
  /** Null for a message that belongs to no task. */
  task: Task | null;
}

/** All deliveries of a task in the order of its events; null when there is no such task. */
export async function deliveriesOfTask(db: Db, orgId: string, taskId: string): Promise<Listed[] | null> {
  const whole = await loadWhole(db, orgId, taskId);
  if (!whole) return null;
  const { task, history } = whole;
  const recorded = await loadDeliveries(db, orgId, taskId, isFinal(task.status));
  const fields = history.filter((event) => callbackWants(task, event)).map((event) => String(event.sequence));
  const found = [...new Set([...fields, ...recorded.keys()])].flatMap((field) => {
    const { sequence, endpoint_id } = readField(field);
    const event = history[sequence - 1];
    if (event === undefined) return [];
    const delivery = recorded.get(field) ?? NOT_TRIED;
    const target: DeliveryTarget = { org_id: orgId, task_id: taskId, sequence, endpoint_id };
    return [{ target, delivery, event: { ...event, at: Date.parse(event.at) }, task }];
  });
  found.sort((a, b) => a.target.sequence - b.target.sequence);
  return withDueTimes(db, orgId, found);
}

/** Loads deliveries in the order of `all`; null for one that does not exist or cannot be read. */
export async function loadListed(
  db: Db,
  orgId: string,
  all: readonly DeliveryTarget[],
): Promise<(Listed | null)[]> {
  const found = await Promise.all(all.map((target) => nullIfUnreadable(db, () => loadOne(db, target))));
  const there = await withDueTimes(
    db,
    orgId,
    found.filter((one) => one !== null),
  );
  const byMember = new Map(there.map((one) => [pendingMember(one.target), one]));
  return all.map((target) => byMember.get(pendingMember(target)) ?? null);
}

const NOT_TRIED: Delivery = { status: 'pending', attempts: [] };

type Undated = Omit<Listed, 'dueAt'>;

async function loadOne(db: Db, target: DeliveryTarget): Promise<Undated | null> {
  const key = orgKeysOf(db.prefix, target.org_id).deliveries(target.task_id);
  const field = fieldOf(target);
  const live = () => fetched(key, db.redis.hgetBuffer(key, field));
  const [stored, about] = await Promise.all([
    live(),
    target.sequence === 0
      ? loadMessage(db, target)
      : loadEvent(db, target.org_id, target.task_id, target.sequence),
  ]);
  if (about === null) return null;
  const isOfFinal = stored === null && 'task' in about && isFinal(about.task.status);
  const recorded = isOfFinal
    ? await liveOrArchived(db, target.org_id, target.task_id, live, ({ deliveries }) =>
        fieldIn(deliveries, field),
      )
    : stored;
  const delivery = requireDelivery(`${key} ${field}`, recorded);
  if (!('task' in about)) {
    const { type } = required(
      key,
      readShape<{ type: string }>(required(key, readJson(about.body)), { type: 'string' }),
    );
    return { target, delivery, event: { event_id: about.id, type, at: about.at }, task: null };
  }
  const { task, event } = about;
  if (recorded === null && (target.endpoint_id !== undefined || !callbackWants(task, event))) return null;
  return { target, delivery, event: { ...event, at: Date.parse(event.at) }, task };
}

async function loadMessage(db: Db, target: DeliveryTarget): Promise<Message | null> {
  const key = orgKeysOf(db.prefix, target.org_id).message(target.task_id);
  const text = await fetched(key, db.redis.hget(key, 'm'));
  return text === null ? null : requireMessage(key, text);
}

async function withDueTimes(db: Db, orgId: string, all: readonly Undated[]): Promise<Listed[]> {
  if (all.length === 0) return [];
  const members = all.map((one) => pendingMember(one.target));
  const scores = await db.redis.zmscore(orgKeysOf(db.prefix, orgId).pendingDeliveries, ...members);
  return all.map((one, index) => {
    const score = scores[index] ?? null;
    // A score that ends in half a millisecond is a lease: an attempt is in progress.
    const hasTime = score !== null && Number(score) % 1 === 0 && !isParked(Number(score));
    const dueAt = hasTime ? Number(score) : null;
    return { ...one, dueAt: one.delivery.status === 'pending' ? dueAt : null };
  });
}

/** The fields of the deliveries of a task or message. @throws the errors of the archive */
async function deliveryFields(db: Db, orgId: string, taskId: string): Promise<string[]> {
  const key = orgKeysOf(db.prefix, orgId).deliveries(taskId);
  const found = await liveOrArchived(
    db,
    orgId,
    taskId,
    async () => {
      const fields = await db.redis.hkeys(key);
      return fields.length === 0 ? null : fields;
    },
    ({ deliveries }) => pairsOf(deliveries).map(([name]) => name),
  );
  return found ?? [];
}

/** Finds a delivery by its id, which starts with the creation time of its task; null when there is none. */
export async function findDelivery(db: Db, orgId: string, id: string): Promise<Listed | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const floor = id.slice(0, 13);
  const range = [`[${floor}`, `(${floor}~`] as const;
  const [live, messages, archived] = await Promise.all([
    db.redis.zrangebylex(keys.index('all'), ...range),
    db.redis.zrangebylex(keys.index('messages'), ...range),
    db.redis.zrangebylex(keys.index(ARCHIVED), ...range),
  ]);
  const tasks = [...live, ...archived.map((member) => readArchivedMember(member).task_id)];
  const sequence = Number.parseInt(id.slice(15, 18), 16);
  const hasId = (target: DeliveryTarget) => deliveryId(target) === id;
  const callbacks = tasks.map((task_id): DeliveryTarget => ({ org_id: orgId, task_id, sequence }));
  let target = callbacks.find(hasId);
  if (target === undefined) {
    const candidates = [...tasks, ...messages];
    const fields = await Promise.all(candidates.map((task) => deliveryFields(db, orgId, task)));
    target = candidates
      .flatMap((task_id, index) =>
        (fields[index] ?? [])
          .filter((field) => field !== 'gone')
          .map((field): DeliveryTarget => ({ org_id: orgId, task_id, ...readField(field) })),
      )
      .find(hasId);
  }
  if (target === undefined) return null;
  const [found] = await loadListed(db, orgId, [target]);
  return found ?? null;
}
