// Matching queues: one for each set of requirements, with the waiting tasks in the order in which they are offered. The
// queues of an org are indexed by one attribute that each requires, or by the workers that its tasks name, so other workers
// never read them.

import type { Requirements, Task } from '../../state/tasks/task.ts';
import { isWaiting } from '../../state/tasks/waiting.ts';
import { isObject, readJson } from '../../state/text/forms.ts';
import { matchingQueueOf, queueMember, workerNamedBy } from '../../state/workers/matching.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

/** A member of the index. A queue of tasks that name several workers has one for each. */
export interface ListedMatchingQueue {
  id: string;
  requirements: Requirements;
  /** Its member in the index. */
  member: string;
}

/** Writes that add a task to its matching queue, move it in its queue or to another, or remove it. */
export function matchingQueueWrites(db: Db, was: Task | null, task: Task): Write[] {
  // Its copies wait instead.
  if (task.copies !== undefined) return [];
  const wasQueued = was !== null && isWaiting(was);
  const isQueued = isWaiting(task);
  // A relaxation step changes the requirements; a new input may change the position too.
  const isMoved = wasQueued && isQueued && (was.step !== task.step || was.input !== task.input);
  if (wasQueued === isQueued && !isMoved) return [];
  const keys = orgKeysOf(db.prefix, task.org_id);
  const writes: Write[] = [];
  if (wasQueued) writes.push(['ZREM', keys.matchingQueue(matchingQueueOf(was).id), queueMember(was)]);
  if (!isQueued) return writes;
  const { id, text, attributes } = matchingQueueOf(task);
  const members = attributes.map((one) => one + SEPARATOR + id + SEPARATOR + text);
  writes.push(['ZADD', keys.matchingQueue(id), 0, queueMember(task)]);
  writes.push(['ZADD', keys.matchingQueues, ...members.flatMap((member) => [0, member])]);
  return writes;
}

/** Occurs in no id and no JSON. An attribute that contains it only causes a needless read. */
const SEPARATOR = '\0';
/** The character after the separator: end of a range. */
const AFTER_SEPARATOR = '\x01';

/** If an org has at most so many matching queues, one command reads all of them. */
const FEW = 20;

/** The first members of the index, for `matchingQueuesFor`. */
export function firstMatchingQueues(db: Db, orgId: string): Promise<string[]> {
  return db.redis.zrange(orgKeysOf(db.prefix, orgId).matchingQueues, 0, `${FEW}`);
}

/**
 * The matching queues in use that require one of these attributes; some may be empty.
 * @param read from `firstMatchingQueues`, if it was called a moment ago.
 */
export async function matchingQueuesFor(
  db: Db,
  orgId: string,
  attributes: readonly string[],
  read?: readonly string[],
): Promise<ListedMatchingQueue[]> {
  const key = orgKeysOf(db.prefix, orgId).matchingQueues;
  const first = read ?? (await firstMatchingQueues(db, orgId));
  if (first.length <= FEW) {
    const isRequired = (member: string) => attributes.some((one) => member.startsWith(one + SEPARATOR));
    return readMembers(db, orgId, first.filter(isRequired));
  }
  const listed = await Promise.all(
    attributes.map((one) => db.redis.zrangebylex(key, `[${one}${SEPARATOR}`, `(${one}${AFTER_SEPARATOR}`)),
  );
  return readMembers(db, orgId, listed.flat());
}

/** All matching queues in use; some may be empty. */
export async function allMatchingQueues(db: Db, orgId: string): Promise<ListedMatchingQueue[]> {
  return readMembers(db, orgId, await db.redis.zrange(orgKeysOf(db.prefix, orgId).matchingQueues, 0, '-1'));
}

const REMOVE_EMPTY = `
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('ZREM', KEYS[1], ARGV[1]) end`;

/** Removes a matching queue from the index unless a task waits in it. */
export async function removeEmptyMatchingQueue(
  db: Db,
  orgId: string,
  matchingQueue: ListedMatchingQueue,
): Promise<void> {
  const keys = orgKeysOf(db.prefix, orgId);
  await db.redis.eval(
    REMOVE_EMPTY,
    2,
    keys.matchingQueues,
    keys.matchingQueue(matchingQueue.id),
    matchingQueue.member,
  );
}

/** The matching queues of these index members. A malformed member is left out and reported. */
function readMembers(db: Db, orgId: string, members: readonly string[]): ListedMatchingQueue[] {
  return members.flatMap((member) => {
    const [id = '', text = ''] = member.split(SEPARATOR).slice(-2);
    const json = readJson(text);
    const named = workerNamedBy(member.slice(0, member.indexOf(SEPARATOR)));
    const only = named !== null && { worker_ids: [named] };
    if (json.kind === 'known' && isObject(json.value))
      return [{ id, requirements: { ...json.value, ...only }, member }];
    const key = `${orgKeysOf(db.prefix, orgId).matchingQueues} ${id}`;
    db.onUnreadable?.({ key, kind: 'broken', reason: 'the requirements of a matching queue are not JSON' });
    return [];
  });
}
