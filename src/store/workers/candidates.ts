// The look-ups behind matching: who is ready for a task, and which waiting task comes first for a worker.

import { requirementsOf, type Task } from '../../state/tasks/task.ts';
import {
  decliners,
  isEligible,
  qualifies,
  rank,
  taskOfQueueMember,
  wantedAttributes,
  workerAttributes,
} from '../../state/workers/matching.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScripts } from '../redis/scripts.ts';
import { readableOrNull } from '../redis/unreadable.ts';
import { loadTask, type StoredTask } from '../tasks/tasks.ts';
import { matchingQueuesFor } from './matching-queues.ts';
import { loadWorkers } from './workers.ts';

/** Workers that one call of the script looks at, so that Redis has time for others in between. */
const LOOK = 1000;
/** Workers it gives beyond those asked for: of some who have been idle equally long, the best rated go first. */
const SPARE = 15;

// Goes over the members of the smallest set, longest idle first, and gives those who are in all of the others.
// KEYS: the sets by attribute, then the two by level. ARGV: how many are by attribute, where to begin, how many to
// give, how many to look at, the levels wanted (0: none), the set gone over so far (0: none), who is not wanted.
// Answers: where to go on ('' when there are no more), in which set, and who.
const CANDIDATES = `
local sets, start, want, look = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local base, least = tonumber(ARGV[7]), nil
local levels = {}
for i = 1, sets do
  local size = redis.call('ZCARD', KEYS[i])
  if size == 0 then return {'', 0} end
  if ARGV[7] == '0' and (not least or size < least) then base, least = i, size end
end
local few
for i = 1, 2 do
  local key, level = KEYS[sets + i], ARGV[4 + i]
  if tonumber(level) > 0 then
    levels[#levels + 1] = {key, tonumber(level)}
    local size = redis.call('ZCOUNT', key, level, '+inf')
    if size == 0 then return {'', 0} end
    if least and size < least and size <= look then few, least = {key, level}, size end
  end
end
-- That nobody has all of them is seen at a fraction of the price of going over them here.
if least and least <= 20 * look then
  local all = {sets, unpack(KEYS, 1, sets)}
  all[sets + 2], all[sets + 3] = 'LIMIT', 1
  if redis.call('ZINTERCARD', unpack(all)) == 0 then return {'', 0} end
end
local unwanted = {}
for i = 8, #ARGV do unwanted[ARGV[i]] = true end
local function fits(id)
  if unwanted[id] then return false end
  for i = 1, sets do
    if i ~= base and not redis.call('ZSCORE', KEYS[i], id) then return false end
  end
  for _, level in ipairs(levels) do
    if tonumber(redis.call('ZSCORE', level[1], id) or 0) < level[2] then return false end
  end
  return true
end
if few then
  base = 0
  local found = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', few[1], few[2], '+inf')) do
    if fits(id) then found[#found + 1] = {tonumber(redis.call('ZSCORE', KEYS[1], id)), id} end
  end
  table.sort(found, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  local best = {'', 0}
  for i = 1, math.min(want, #found) do best[i + 2] = found[i][2] end
  return best
end
local found = {'', base}
local looked = 0
while looked < look do
  local page = redis.call('ZRANGE', KEYS[base], start, start + 49)
  for i, id in ipairs(page) do
    if fits(id) then
      found[#found + 1] = id
      if #found == want + 2 then
        found[1] = start + i
        return found
      end
    end
  end
  if #page < 50 then return found end
  start, looked = start + 50, looked + 50
end
found[1] = start
return found
`;

const withScript = defineScripts<{
  biolayerCandidates(
    ...args: (string | number)[]
  ): Promise<[next: number | '', base: number, ...ids: string[]]>;
}>({ biolayerCandidates: { lua: CANDIDATES } });

/**
 * The best `count` workers the task can be offered to now, best first. Goes over the ready workers of the rarest
 * thing asked for, longest idle first, and stops as soon as no better can come: who lacks any of the rest is
 * passed over where they lie, and only who fits is loaded.
 */
export async function findWorkers(db: Db, task: Task, count: number): Promise<Worker[]> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const { trust_level = 0, min_rating = 0 } = requirementsOf(task);
  const sets = wantedAttributes(task).map(keys.ready);
  const now = db.clock.now();
  const eligible = async (ids: readonly string[]) =>
    (await loadWorkers(db, task.org_id, ids))
      .filter((one) => one !== null)
      .filter((one) => isEligible(one, task, now));
  // Who said no, and has not been forgiven, comes after all others; who may not be asked at all, never.
  const declined = [...decliners(task, now)];
  const found: Worker[] = [];
  let next: number | '' = 0;
  let base = 0;
  let ids: string[] = [];
  while (next !== '' && found.length < count) {
    [next, base, ...ids] = await withScript(db.redis).biolayerCandidates(
      ...[sets.length + 2, ...sets, keys.readyBy('trust_level'), keys.readyBy('rating')],
      ...[sets.length, next, count + SPARE, LOOK, trust_level, min_rating, base, ...declined],
    );
    found.push(...(await eligible(ids)));
  }
  if (found.length < count && declined.length > 0) found.push(...(await eligible(declined)));
  return rank(found, task, now).slice(0, count);
}

/**
 * The first waiting task that the worker is eligible for, over all lanes that fit; null when there is none.
 * @param known a view of one that may be it, loaded a moment ago, to save another load.
 */
export async function firstWaitingFor(
  db: Db,
  worker: Worker,
  known?: StoredTask,
): Promise<StoredTask | null> {
  const keys = orgKeysOf(db.prefix, worker.org_id);
  const matchingQueues = (await matchingQueuesFor(db, worker.org_id, workerAttributes(worker)))
    .filter(({ requirements }) => qualifies(worker, requirements))
    .map(({ id }) => keys.matchingQueue(id));
  if (matchingQueues.length === 0) return null;
  const now = db.clock.now();
  const refused = new Set<string>();
  // The heads are enough unless the worker declined one; what lies behind it is looked at before other lanes'.
  deeper: for (let depth = 1; ; depth *= 8) {
    const listed = await Promise.all(
      matchingQueues.map((matchingQueue) => db.redis.zrange(matchingQueue, 0, `${depth - 1}`)),
    );
    const heads = listed.flatMap((places) =>
      places.map((place, index) => ({ place, mayHideMore: index === depth - 1 })),
    );
    heads.sort((a, b) => (a.place < b.place ? -1 : 1));
    for (const { place, mayHideMore } of heads) {
      if (!refused.has(place)) {
        const id = taskOfQueueMember(place);
        const stored =
          id === known?.task.task_id
            ? known
            : await readableOrNull(db, () => loadTask(db, worker.org_id, id));
        if (stored?.task.status === 'queued' && isEligible(worker, stored.task, now)) return stored;
        refused.add(place);
      }
      if (mayHideMore) continue deeper;
    }
    return null;
  }
}
