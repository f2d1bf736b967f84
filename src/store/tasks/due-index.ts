// The index of due times of a partition: which moments it has checks for, and which job runs the checks of which task.
// A job claims the tasks of a page for a while, so that several jobs and processes share the work of one moment. Claims only save
// double work: the commit of a check verifies that it still applies.

import { MOMENT_MS, SAFE_AHEAD_MS } from '../../state/tasks/due-moment.ts';
import type { Db } from '../redis/connection.ts';
import { partitionKeys } from '../redis/keys.ts';
import { type Scored, scoredFrom } from '../redis/score-pages.ts';
import { defineScript } from '../redis/scripts.ts';

/** A task claimed for longer than this may be claimed again: its process has died, ms. */
const CLAIM_MS = 10_000;
/** A claim that ends later than a new one by this was made before Redis' clock was set back, ms. */
const CLOCK_TOLERANCE_MS = 5000;
/** Most moments found at a time; a minute has fewer. */
const MOST_MOMENTS = 1500;

// ARGV: the lowest and highest due time, the earliest moment, the length of a moment, most moments.
const MOMENTS = `
local moments, from = {}, ARGV[1]
while #moments < tonumber(ARGV[5]) do
  local first = redis.call('ZRANGEBYSCORE', KEYS[1], from, ARGV[2], 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if not first then break end
  local moment = math.ceil(math.max(tonumber(first), tonumber(ARGV[3])) / ARGV[4]) * ARGV[4]
  moments[#moments + 1] = string.format('%.0f', moment)
  from = '(' .. moments[#moments]
end
return moments
`;

// KEYS: due times, claims. ARGV: highest due time, now, end of the claim, most tasks, tolerance.
// Returns the number of tasks that others have claimed, then each claimed member with its due time.
const CLAIM = `
local most, found, claimed, others, offset = tonumber(ARGV[4]), {0}, {}, 0, 0
local now, latest = tonumber(ARGV[2]), ARGV[3] + ARGV[5]
repeat
  local page = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', offset, most)
  local size = #page / 2
  if size == 0 then break end
  local members = {}
  for i = 1, size do members[i] = page[2 * i - 1] end
  local claims = redis.call('ZMSCORE', KEYS[2], unpack(members))
  for i = 1, size do
    local ends = claims[i] and tonumber(claims[i])
    if ends and ends > now and ends <= latest then
      others = others + 1
    elseif #claimed < 2 * most then
      claimed[#claimed + 1] = ARGV[3]
      claimed[#claimed + 1] = members[i]
      found[#found + 1] = members[i]
      found[#found + 1] = page[2 * i]
    end
  end
  offset = offset + size
until size < most or #claimed == 2 * most
if #claimed > 0 then
  redis.call('ZADD', KEYS[2], unpack(claimed))
  redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', latest))
end
found[1] = others
return found
`;

// KEYS: due times, claims. ARGV: when to look at them again, then for each task its member and the due time as claimed.
const FINISH = `
local members = {}
for i = 2, #ARGV, 2 do members[i / 2] = ARGV[i] end
for i, score in ipairs(redis.call('ZMSCORE', KEYS[1], unpack(members))) do
  if score and tonumber(score) == tonumber(ARGV[2 * i + 1]) then redis.call('ZADD', KEYS[1], ARGV[1], members[i]) end
end
redis.call('ZREM', KEYS[2], unpack(members))
`;

const runMoments = defineScript<string[]>(MOMENTS);
const runClaim = defineScript<[number, ...string[]]>(CLAIM);
const runFinish = defineScript<null>(FINISH);

/**
 * The moments for which the index has checks due from `from` to `until`, ms, the earliest first; everything overdue
 * belongs to the present moment. @param now ms
 */
export async function momentsDue(
  db: Db,
  partition: string,
  { from, until, now }: { from: number; until: number; now: number },
): Promise<number[]> {
  const { due } = partitionKeys(db.prefix, partition);
  const args = [from, until, now + SAFE_AHEAD_MS, MOMENT_MS, MOST_MOMENTS];
  return (await runMoments(db.redis, [due], args)).map(Number);
}

/**
 * Claims the first tasks with checks due by `until`, ms.
 * @returns at most `most` of them, with their due times; and how many were passed over that other jobs have claimed.
 */
export async function claimDue(
  db: Db,
  partition: string,
  until: number,
  most: number,
): Promise<{ members: Scored[]; others: number }> {
  const { due, dueClaims } = partitionKeys(db.prefix, partition);
  const now = db.clock.now();
  const args = [until, now, now + CLAIM_MS, most, CLOCK_TOLERANCE_MS];
  const [others, ...flat] = await runClaim(db.redis, [due, dueClaims], args);
  return { members: scoredFrom(flat), others };
}

/** Ends the claims of tasks that were looked at. One that is still due is looked at again at `retryAt`, ms. */
export async function finishDue(
  db: Db,
  partition: string,
  members: readonly Scored[],
  retryAt: number,
): Promise<void> {
  if (members.length === 0) return;
  const { due, dueClaims } = partitionKeys(db.prefix, partition);
  await runFinish(db.redis, [due, dueClaims], [retryAt, ...members.flat()]);
}

/** Ends the claims of tasks that stay as they are. */
export async function releaseDue(db: Db, partition: string, members: readonly Scored[]): Promise<void> {
  if (members.length === 0) return;
  const { dueClaims } = partitionKeys(db.prefix, partition);
  await db.redis.zrem(dueClaims, ...members.map(([member]) => member));
}
