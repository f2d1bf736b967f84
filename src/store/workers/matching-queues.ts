// Where tasks wait: a lane for each set of requirements, in the order in which they go. The lanes themselves are
// listed by one attribute that each asks for, so that whoever lacks it never looks at them, however many they are.

import type { Requirements, Task } from '../../state/tasks/task.ts';
import { isObject, readJson } from '../../state/text/forms.ts';
import { matchingQueueOf, queueMember } from '../../state/workers/matching.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

export interface ListedMatchingQueue {
  id: string;
  requirements: Requirements;
  /** As it stands in the list. */
  member: string;
}

/** Writes that let a task wait in its lane, move to another, or leave. */
export function matchingQueueWrites(db: Db, was: Task | null, task: Task): Write[] {
  const waited = was?.status === 'queued';
  const waits = task.status === 'queued';
  // Less may be asked of who takes it than when it began to wait.
  const moves = waited && waits && was.step !== task.step;
  if (waited === waits && !moves) return [];
  const keys = orgKeysOf(db.prefix, task.org_id);
  const leaves: Write[] = waited
    ? [['ZREM', keys.matchingQueue(matchingQueueOf(was).id), queueMember(was)]]
    : [];
  if (!waits) return leaves;
  const { id, text, attribute } = matchingQueueOf(task);
  return [
    ...leaves,
    ['ZADD', keys.matchingQueue(id), 0, queueMember(task)],
    ['ZADD', keys.matchingQueues, 0, attribute + SEPARATOR + id + SEPARATOR + text],
  ];
}

/** Neither an id nor JSON has it; an attribute that has it makes a lane be looked at in vain. */
const SEPARATOR = '\0';
const BEHIND = '\x01';

/** The lanes that tasks waited in lately and that whoever has these attributes may be fit for. */
export async function matchingQueuesFor(
  db: Db,
  orgId: string,
  attributes: readonly string[],
): Promise<ListedMatchingQueue[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  const listed = await Promise.all(
    attributes.map((one) =>
      db.redis.zrangebylex(keys.matchingQueues, `[${one}${SEPARATOR}`, `(${one}${BEHIND}`),
    ),
  );
  return readLanes(db, orgId, listed.flat());
}

/** All lanes that tasks waited in lately. */
export async function allMatchingQueues(db: Db, orgId: string): Promise<ListedMatchingQueue[]> {
  return readLanes(db, orgId, await db.redis.zrange(orgKeysOf(db.prefix, orgId).matchingQueues, 0, '-1'));
}

const FORGET_EMPTY = `
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('ZREM', KEYS[1], ARGV[1]) end`;

/** Takes a lane from the list unless a task waits in it. */
export async function removeEmptyMatchingQueue(
  db: Db,
  orgId: string,
  matchingQueue: ListedMatchingQueue,
): Promise<void> {
  const keys = orgKeysOf(db.prefix, orgId);
  await db.redis.eval(
    FORGET_EMPTY,
    2,
    keys.matchingQueues,
    keys.matchingQueue(matchingQueue.id),
    matchingQueue.member,
  );
}

/** The lanes in these members; one that says nothing is reported. */
function readLanes(db: Db, orgId: string, members: readonly string[]): ListedMatchingQueue[] {
  return members.flatMap((member) => {
    const [id = '', text = ''] = member.split(SEPARATOR).slice(-2);
    const json = readJson(text);
    if (json.kind === 'known' && isObject(json.value)) return [{ id, requirements: json.value, member }];
    const key = `${orgKeysOf(db.prefix, orgId).matchingQueues} ${id}`;
    db.onUnreadable?.({ key, kind: 'broken', reason: 'a lane whose requirements are no JSON' });
    return [];
  });
}
