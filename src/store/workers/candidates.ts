// The look-ups of matching: the best ready workers for a task, and the first waiting task for a worker.

import { requirementsOf } from '../../state/tasks/relaxation.ts';
import type { Task } from '../../state/tasks/task.ts';
import {
  isEligible,
  matchingQueueOf,
  qualifies,
  queueAttributes,
  rank,
  recentlyDeclined,
  taskOfQueueMember,
  wantedAttributes,
} from '../../state/workers/matching.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScript } from '../redis/scripts.ts';
import { nullIfUnreadable } from '../redis/unreadable.ts';
import { formerWorkersOf } from '../tasks/former-workers.ts';
import { loadTask, type StoredTask } from '../tasks/tasks.ts';
import { ineligibleWorkers } from './copy-claims.ts';
import { firstMatchingQueues, matchingQueuesFor } from './matching-queues.ts';
import { loadWorkers } from './workers.ts';

/** Most workers that one call of the script examines, so that it does not block Redis for long. */
const MAX_EXAMINED = 1000;
/** Most members of the smallest set for which it first asks whether any worker is in all sets. */
const MAX_INTERSECTED = 20 * MAX_EXAMINED;
/** Most workers that it returns beyond those wanted, when several have the same idle time. */
const EXTRA_CANDIDATES = 15;

// Walks the smallest set, longest idle first, and returns the members that are in all other sets. It stops after `count`
// of them, but not among workers with the same idle time, of which the best rated is chosen.
// KEYS: the sets by attribute, then the two by level (trust level, rating). ARGV: number of sets by attribute, start of
// the walk, number of workers wanted (`count`), most to return, number to examine, the two minimum levels (0: none), index
// of the set walked so far (0: first call), most to intersect, then ids to exclude. Returns where to continue ('' at the
// end), the index of the set, and the ids.
const CANDIDATES = `
local sets, start, count, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local maxExamined, walked, smallestSize = tonumber(ARGV[5]), tonumber(ARGV[8]), nil
local maxIntersected = tonumber(ARGV[9])
local minimums = {}
for i = 1, sets do
  local size = redis.call('ZCARD', KEYS[i])
  if size == 0 then return {'', 0} end
  if ARGV[8] == '0' and (not smallestSize or size < smallestSize) then walked, smallestSize = i, size end
end
local rareLevel
for i = 1, 2 do
  local key, level = KEYS[sets + i], ARGV[5 + i]
  if tonumber(level) > 0 then
    minimums[#minimums + 1] = {key, tonumber(level)}
    local size = redis.call('ZCOUNT', key, level, '+inf')
    if size == 0 then return {'', 0} end
    if smallestSize and size < smallestSize and size <= maxExamined then rareLevel, smallestSize = {key, level}, size end
  end
end
-- ZINTERCARD finds out that no worker is in all sets much faster than the walk below.
if smallestSize and smallestSize <= maxIntersected then
  local all = {sets, unpack(KEYS, 1, sets)}
  all[sets + 2], all[sets + 3] = 'LIMIT', 1
  if redis.call('ZINTERCARD', unpack(all)) == 0 then return {'', 0} end
end
if rareLevel then walked = 0 end
local excluded = {}
for i = 10, #ARGV do excluded[ARGV[i]] = true end
local function among(ids, key, minimum)
  if #ids == 0 then return ids end
  local kept = {}
  for i, score in ipairs(redis.call('ZMSCORE', key, unpack(ids))) do
    if score and (not minimum or tonumber(score) >= minimum) then kept[#kept + 1] = ids[i] end
  end
  return kept
end
local function fitting(ids)
  local kept = {}
  for _, id in ipairs(ids) do
    if not excluded[id] then kept[#kept + 1] = id end
  end
  for i = 1, sets do
    if i ~= walked then kept = among(kept, KEYS[i]) end
  end
  for _, level in ipairs(minimums) do kept = among(kept, level[1], level[2]) end
  return kept
end
if rareLevel then
  local ids, found = fitting(redis.call('ZRANGEBYSCORE', rareLevel[1], rareLevel[2], '+inf')), {}
  if #ids == 0 then return {'', 0} end
  for i, idle in ipairs(redis.call('ZMSCORE', KEYS[1], unpack(ids))) do found[i] = {tonumber(idle), ids[i]} end
  table.sort(found, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  local best = {'', 0}
  for i = 1, math.min(most, #found) do best[i + 2] = found[i][2] end
  return best
end
local found, lastIdle = {'', walked}, nil
local examined, size = 0, 10
while examined < maxExamined do
  local page = redis.call('ZRANGE', KEYS[walked], start, start + size - 1, 'WITHSCORES')
  local ids, idle, at = {}, {}, {}
  for i = 1, #page, 2 do
    ids[#ids + 1], idle[page[i]], at[page[i]] = page[i], page[i + 1], start + #ids
  end
  for _, id in ipairs(fitting(ids)) do
    if #found - 2 == most or (#found - 2 >= count and idle[id] ~= lastIdle) then
      found[1] = at[id]
      return found
    end
    found[#found + 1], lastIdle = id, idle[id]
  end
  if #ids < size then return found end
  start, examined, size = start + size, examined + size, 50
  if #found - 2 >= count and page[#page] ~= lastIdle then break end
end
found[1] = start
return found
`;

const runCandidates = defineScript<[next: number | '', walked: number, ...ids: string[]]>(CANDIDATES);

/**
 * The best `count` workers that the task can be offered to now, best first. Walks the ready workers with the rarest
 * required attribute, longest idle first, and stops when the remaining workers have been idle for less time. Workers
 * without the other attributes are skipped within Redis; only the rest is loaded.
 */
export async function findWorkers(db: Db, task: Task, count: number): Promise<Worker[]> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const { trust_level = 0, min_rating = 0, worker_ids, excluded_worker_ids = [] } = requirementsOf(task);
  const sets = wantedAttributes(task).map(keys.ready);
  const now = db.clock.now();
  const eligible = async (ids: readonly string[]) =>
    (await loadWorkers(db, task.org_id, ids))
      .filter((one) => one !== null)
      .filter((one) => isEligible(one, task, now));
  // Workers with a recent decline come after all others; `isEligible` excludes those that may not be offered the task again.
  const former = await formerWorkersOf(db, task);
  if (former.isUnknown) return [];
  const ineligible = new Set([...(await ineligibleWorkers(db, task)), ...former.ids]);
  if (worker_ids !== undefined) {
    const named = await eligible(worker_ids.filter((id) => !ineligible.has(id)));
    return rank(named, task, now).slice(0, count);
  }
  const declined = [...recentlyDeclined(task, now)];
  const found: Worker[] = [];
  let next: number | '' = 0;
  let walked = 0;
  let wanted = count;
  let ids: string[] = [];
  while (next !== '' && found.length < count) {
    [next, walked, ...ids] = await runCandidates(
      db.redis,
      [...sets, keys.readyBy('trust_level'), keys.readyBy('rating')],
      [
        sets.length,
        next,
        wanted,
        count + EXTRA_CANDIDATES,
        MAX_EXAMINED,
        trust_level,
        min_rating,
        walked,
        MAX_INTERSECTED,
        ...declined,
        ...ineligible,
        ...excluded_worker_ids,
      ],
    );
    found.push(...(await eligible(ids)));
    // Some of those found were not eligible after all: examines more of them at once.
    wanted = count + EXTRA_CANDIDATES;
  }
  const again = declined.filter((id) => !ineligible.has(id));
  if (found.length < count && again.length > 0) found.push(...(await eligible(again)));
  return rank(found, task, now).slice(0, count);
}

/** What waits, as read together with something else: the first matching queues of the org, and the first task of one of them. */
export interface Waiting {
  queues: readonly string[];
  /** Key of the matching queue of `known`, and its first member. */
  key: string;
  head: readonly string[];
  /** A task that may be the first. */
  known: StoredTask;
}

/** Reads what `firstWaitingFor` needs in most cases, before the worker is known. @param known a waiting task */
export async function readWaiting(db: Db, known: StoredTask): Promise<Waiting> {
  const { task } = known;
  const key = orgKeysOf(db.prefix, task.org_id).matchingQueue(matchingQueueOf(task).id);
  const [queues, head] = await Promise.all([
    firstMatchingQueues(db, task.org_id),
    db.redis.zrange(key, 0, '0'),
  ]);
  return { queues, key, head, known };
}

/**
 * The first waiting task that the worker is eligible for, over all matching queues; null when there is none.
 * @param read what was read a moment ago, to save round trips.
 */
export async function firstWaitingFor(db: Db, worker: Worker, read?: Waiting): Promise<StoredTask | null> {
  const { org_id } = worker;
  const keys = orgKeysOf(db.prefix, org_id);
  const matchingQueues = (await matchingQueuesFor(db, org_id, queueAttributes(worker), read?.queues))
    .filter(({ requirements }) => qualifies(worker, requirements))
    .map(({ id }) => keys.matchingQueue(id));
  if (matchingQueues.length === 0) return null;
  const rejected = new Set<string>();
  // The first task of each queue is enough, unless the worker is not eligible for one of them: then the tasks behind it
  // are examined before tasks of other queues that come later.
  for (let depth = 1; ; depth *= 8) {
    const listed = await Promise.all(
      matchingQueues.map((key) =>
        depth === 1 && key === read?.key ? read.head : db.redis.zrange(key, 0, `${depth - 1}`),
      ),
    );
    const heads = listed.flatMap((members) =>
      members.map((member, index) => ({ member, isLastRead: index === depth - 1 })),
    );
    heads.sort((a, b) => (a.member < b.member ? -1 : 1));
    const last = heads.findIndex((one) => one.isLastRead);
    const comparable = last < 0 ? heads : heads.slice(0, last + 1);
    const members = comparable.map((one) => one.member).filter((one) => !rejected.has(one));
    const first = await firstEligible(db, worker, members.map(taskOfQueueMember), read?.known);
    if (first !== null) return first;
    // The last task read of a queue was rejected: read deeper.
    if (last < 0) return null;
    for (const member of members) rejected.add(member);
  }
}

/** Most tasks that are examined at once. The first is examined alone, since it is usually the one. */
const EXAMINED_AT_ONCE = 50;

/** The first of these tasks that waits and that the worker is eligible for. */
async function firstEligible(
  db: Db,
  worker: Worker,
  ids: readonly string[],
  known: StoredTask | undefined,
): Promise<StoredTask | null> {
  const now = db.clock.now();
  const examine = async (id: string): Promise<StoredTask | null> => {
    const stored =
      id === known?.task.task_id ? known : await nullIfUnreadable(db, () => loadTask(db, worker.org_id, id));
    if (stored?.task.status !== 'queued' || !isEligible(worker, stored.task, now)) return null;
    return (await isIneligible(db, stored.task, worker)) ? null : stored;
  };
  for (let at = 0, count = 1; at < ids.length; at += count, count = EXAMINED_AT_ONCE) {
    const examined = await Promise.all(ids.slice(at, at + count).map(examine));
    const first = examined.find((one) => one !== null);
    if (first !== undefined) return first;
  }
  return null;
}

/** Whether the worker may not have the task now: they have another copy of it, or had a task that it excludes. */
async function isIneligible(db: Db, task: Task, { worker_id }: Worker): Promise<boolean> {
  return (
    (await formerWorkersOf(db, task)).has(worker_id) || (await ineligibleWorkers(db, task)).has(worker_id)
  );
}
