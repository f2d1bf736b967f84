// What a change of a task writes: its record, history, indexes, feed entry, deliveries and outbox entry.

import { noticesOf } from '../../state/notices/notice.ts';
import type { OutboxEntry } from '../../state/outbox.ts';
import { sampleOf } from '../../state/stats/tally.ts';
import { stateIndexesOf } from '../../state/tasks/attention.ts';
import { isGold } from '../../state/tasks/gold.ts';
import { historyEntry } from '../../state/tasks/history.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import { purgeTimes } from '../../state/tasks/retention.ts';
import {
  checksOf,
  checksOnlyIn,
  checksToSchedule,
  isLaterMatch,
  isScheduledNow,
  nextDue,
} from '../../state/tasks/scheduled-checks.ts';
import { poolOf, type Task } from '../../state/tasks/task.ts';
import { callbackWants } from '../../state/webhooks/callback-events.ts';
import type { Change, Guard, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { outboxWrites } from '../redis/outbox.ts';
import { sampleWrite } from '../stats/sample-log.ts';
import { valueWrites } from '../stats/values.ts';
import { OPEN_COPIES } from '../tasks/copies-index.ts';
import { draftWrites } from '../tasks/drafts.ts';
import { feedWrite } from '../tasks/feed.ts';
import { GOLD_INDEX } from '../tasks/filtered.ts';
import { formerWorkersField } from '../tasks/former-workers.ts';
import { messageWrites } from '../tasks/messages.ts';
import { offerWrites } from '../tasks/offers.ts';
import { retentionEntry } from '../tasks/retention-index.ts';
import {
  formOfTask,
  isWholeUpTo,
  type PackedEntry,
  packEntry,
  packedFields,
  stateOf,
} from '../tasks/task-record.ts';
import { pendingMember } from '../webhooks/delivery-target.ts';
import { matchingQueueWrites } from '../workers/matching-queues.ts';
import type { Decided } from './copies.ts';

/** By how much the clocks of two processes may differ, ms: a check that is due a little later than soon has an outbox entry. */
const CLOCKS_DIFFER_MS = 5000;

/** The indexes of a task that do not depend on its state, as `<filter>:<value>`. */
export function indexesOf(task: Task): string[] {
  if (task.copy_of !== undefined) return [];
  // Kept out of the others, in which created tasks are counted.
  if (isGold(task)) return [GOLD_INDEX];
  const pool = poolOf(task);
  return [
    'all',
    `domain:${task.input.domain}`,
    `task_type:${task.input.task_type}`,
    `urgency:${task.input.sla.urgency}`,
    `product:${task.input.origin.product}`,
    `request_id:${task.input.origin.request_id}`,
    ...(pool === null ? [] : [`pool:${pool}`]),
  ];
}

/** Writes that move a task between indexes. @param before names of its indexes before the change, `after` then */
function indexWrites(
  db: Db,
  { org_id, task_id }: Task,
  before: readonly string[],
  after: readonly string[],
): Write[] {
  const { index } = orgKeysOf(db.prefix, org_id);
  const writes: Write[] = [];
  for (const name of before) if (!after.includes(name)) writes.push(['ZREM', index(name), task_id]);
  for (const name of after) if (!before.includes(name)) writes.push(['ZADD', index(name), 0, task_id]);
  return writes;
}

/** The writes that record when a task that has just ended is purged. */
function retentionWrites(db: Db, task: Task): Write[] {
  const times = purgeTimes(task, task.status_changed_at);
  const whole = retentionEntry(db, { ...task, log: false });
  const entries = [times.task, whole.member];
  if (times.history !== null) entries.push(times.history, retentionEntry(db, { ...task, log: true }).member);
  return [['ZADD', whole.key, ...entries]];
}

/** Writes that remove the history of a finished task and keep the rest. */
export function forgetHistory(db: Db, finished: Task): Write[] {
  const { input, task_id, org_id } = finished;
  return [
    [
      'HSET',
      orgKeysOf(db.prefix, org_id).task(task_id),
      ...packedFields(finished, [input, stateOf(finished), [], '']),
    ],
  ];
}

/**
 * Guards and writes of a task's change: record, history, indexes, matching queue, due time, feed, deliveries, outbox.
 * @param history the whole history so far, packed; needed only when the task becomes final
 * @param isHeard whether the org has listeners; if not, the commit has the guards of `noListeners`
 */
export function taskWrites(
  db: Db,
  { before, task, events }: Pick<Decided, 'before' | 'task' | 'events'>,
  history: readonly PackedEntry[],
  isHeard: boolean,
): Change {
  const { org_id: orgId, task_id: taskId } = task;
  const keys = orgKeysOf(db.prefix, orgId);
  const writes: Write[] = [];

  let head: string | null = before?.head ?? null;
  const entries = events.map((event) => {
    const entry = historyEntry(event, head);
    head = entry.hash;
    return entry;
  });
  if (head === null) throw new Error(`task ${taskId} has no history`);
  const lastHash = head;

  const { input, version } = task;
  const was = before?.task ?? null;
  const isPatched = was !== null && was.input !== input;
  const isCopy = task.copy_of !== undefined;
  const state = stateOf(task);
  if (isFinal(task.status)) {
    const whole = [...history, ...entries.map(packEntry)];
    const isChained = isWholeUpTo(before?.head, history);
    const packed = packedFields(task, [input, state, whole, lastHash], isChained ? entries.length : 0);
    const ordered = input.handoff?.ordering === 'per_task' ? ['o', '1'] : [];
    const former = formerWorkersField(null, task);
    writes.push(
      ['DEL', keys.task(taskId)],
      ['HSET', keys.task(taskId), 'v', version, ...packed, 'e', task.updated_at, ...ordered, ...former],
      ['DEL', keys.history(taskId)],
      ...draftWrites(db, before?.task ?? null, task, events),
    );
    // A copy is purged with its task.
    if (!isCopy && was?.status !== task.status) writes.push(...retentionWrites(db, task));
  } else {
    const fields = ['v', version, 's', JSON.stringify(state), 'h', lastHash];
    if (before === null) fields.push('i', JSON.stringify(input), 'f', formOfTask(input));
    else if (before.task.input !== input) fields.push('i', JSON.stringify(input));
    if (before === null && input.handoff?.ordering === 'per_task') fields.push('o', '1');
    if (task.metadata_since !== undefined && task.metadata_since !== was?.metadata_since)
      fields.push('u', task.metadata_since);
    fields.push(...formerWorkersField(was, task));
    writes.push(['HSET', keys.task(taskId), ...fields]);
    if (entries.length > 0)
      writes.push(['RPUSH', keys.history(taskId), ...entries.map((one) => JSON.stringify(packEntry(one)))]);
    writes.push(...draftWrites(db, before?.task ?? null, task, events));
  }

  if (!isCopy && was?.input !== input)
    writes.push(
      ...indexWrites(db, task, was === null ? [] : indexesOf(was), indexesOf(task)),
      ...valueWrites(db, task),
    );
  if (isCopy) {
    if (was === null) writes.push(['ZADD', keys.index(OPEN_COPIES), 0, taskId]);
    if (isFinal(task.status)) writes.push(['ZREM', keys.index(OPEN_COPIES), taskId]);
  } else if (was?.status !== task.status) {
    if (was !== null) writes.push(['ZREM', keys.index(`status:${was.status}`), taskId]);
    writes.push(['ZADD', keys.index(`status:${task.status}`), 0, taskId]);
  }
  writes.push(...indexWrites(db, task, was === null ? [] : stateIndexesOf(was), stateIndexesOf(task)));
  writes.push(...matchingQueueWrites(db, was, task), ...offerWrites(db, was, task));

  const [checks, checksBefore] = [checksOf(task), was === null ? [] : checksOf(was)];
  const [due, wasDue] = [nextDue(checks), nextDue(checksBefore)];
  const dueMember = `${orgId} ${taskId}`;
  if (due !== null && due !== wasDue) writes.push(['ZADD', keys.due, due, dueMember]);
  if (due === null && wasDue !== null) writes.push(['ZREM', keys.due, dueMember]);

  const about = { org_id: orgId, task_id: taskId };
  // Nobody but its workers is told of a copy or of a gold task.
  const told = isCopy || isGold(task) ? [] : events;
  const deliveries = told.filter((event) => callbackWants(task, event)).map((event) => event.sequence);
  for (const sequence of deliveries)
    writes.push(['ZADD', keys.pendingDeliveries, task.updated_at, pendingMember({ ...about, sequence })]);
  const sample = sampleOf(was, task, events);
  if (sample !== null) writes.push(sampleWrite(db, sample));
  writes.push(...messageWrites(db, orgId, taskId, events));
  if (told.length > 0) writes.push(feedWrite(keys.feed, taskId, poolOf(task), told));
  const scheduled = checksToSchedule(checks, checksBefore);
  const cancelled = checksOnlyIn(checksBefore, checks);
  const heard = isHeard ? told : [];
  const notices = isHeard ? noticesOf(was, task, events) : [];
  const soon = task.updated_at + CLOCKS_DIFFER_MS;
  const isRelayed =
    scheduled.some((check) => isScheduledNow(check, soon)) || cancelled.some((check) => isLaterMatch(check));
  if (isRelayed || deliveries.length + heard.length + notices.length > 0) {
    const entry: OutboxEntry = {
      kind: 'task',
      org_id: orgId,
      task_id: taskId,
      version,
      scheduled,
      cancelled,
      deliveries,
      events: heard.map((event) => event.type.slice('task.'.length)),
      first: heard[0]?.sequence ?? 0,
      at: task.updated_at,
      pool: poolOf(task),
      ...(notices.length > 0 && { notices }),
    };
    writes.push(...outboxWrites(keys.outbox, entry));
  }
  writes.push(['SPUBLISH', keys.changes, `task ${taskId}`]);

  const key = keys.task(taskId);
  const guards: Guard[] = [
    was === null ? { kind: 'absent', key } : { kind: 'version', key, version: was.version },
  ];
  // Resealing replaces the input without a new version.
  if (isPatched) guards.push({ kind: 'field', key, field: 'i', value: JSON.stringify(was.input) });
  // Resealing and the purge of a history replace it without a new version.
  if (before?.packed !== undefined) guards.push({ kind: 'field', key, field: 'z', value: before.packed });
  return { guards, writes };
}
