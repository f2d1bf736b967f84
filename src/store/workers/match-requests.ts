// What is to be matched in an org, and the turn in which that is done. An org has one turn at a time, however much
// it asks for: the job of that turn matches a bounded part, and the rest gets a turn behind the other orgs. Nothing
// is requested while no worker could take it; whatever makes a worker ready requests that worker.

import type { MatchRequest } from '../../state/outbox.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScripts } from '../redis/scripts.ts';

/** A request as it waits: `sequence` changes when the same is requested again. */
export interface Requested {
  kind: MatchRequest['kind'];
  id: string;
  sequence: string;
}

// KEYS: requests, turns, and for each request the ready workers who may be meant. ARGV: org, then of each request its
// member, and a worker who must be among those or ''. Answers the turn that is to come, or ''.
const REQUEST = `
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local sequence, isNew = tonumber(last[2] or 0), false
for i = 3, #KEYS do
  local member, worker = ARGV[2 * i - 4], ARGV[2 * i - 3]
  local isReady
  if worker == '' then isReady = redis.call('EXISTS', KEYS[i]) == 1
  else isReady = redis.call('ZSCORE', KEYS[i], worker) end
  if isReady then
    sequence, isNew = sequence + 1, true
    redis.call('ZADD', KEYS[1], sequence, member)
  end
end
if not isNew then return '' end
local turn = redis.call('HGET', KEYS[2], ARGV[1])
if turn then return turn end
local time = redis.call('TIME')
turn = string.format('%d%06d', time[1], time[2])
redis.call('HSET', KEYS[2], ARGV[1], turn)
return turn
`;

// KEYS: requests, turns, all ready workers. ARGV: org, the turn, how many. What is requested while nobody is ready is
// dropped here too. Answers the requests with their sequences; the current turn alone when it is another.
const TAKE = `
local turn = redis.call('HGET', KEYS[2], ARGV[1])
if turn ~= ARGV[2] then return {turn or ''} end
if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  return {''}
end
local requests = redis.call('ZRANGE', KEYS[1], 0, ARGV[3] - 1, 'WITHSCORES')
table.insert(requests, 1, turn)
return requests
`;

// ARGV: org, the turn, then each request that is done and its sequence. Answers the next turn, or ''.
const END = `
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return redis.call('HGET', KEYS[2], ARGV[1]) or '' end
for i = 3, #ARGV, 2 do
  local sequence = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if sequence and tonumber(sequence) == tonumber(ARGV[i + 1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  return ''
end
local time = redis.call('TIME')
local turn = string.format('%d%06d', time[1], time[2])
if turn == ARGV[2] then turn = turn .. '1' end
redis.call('HSET', KEYS[2], ARGV[1], turn)
return turn
`;

const withScripts = defineScripts<{
  biolayerMatchRequest(...args: (string | number)[]): Promise<string>;
  biolayerMatchTake(...args: (string | number)[]): Promise<string[]>;
  biolayerMatchEnd(...args: (string | number)[]): Promise<string>;
}>({
  biolayerMatchRequest: { lua: REQUEST },
  biolayerMatchTake: { lua: TAKE, numberOfKeys: 3 },
  biolayerMatchEnd: { lua: END, numberOfKeys: 3 },
});

/**
 * Requests matches for which a worker is ready; what nobody could take now is left out.
 * @returns the turn whose job must exist for them; null when there is nothing to match.
 */
export async function requestMatches(
  db: Db,
  orgId: string,
  requests: readonly MatchRequest[],
): Promise<string | null> {
  if (requests.length === 0) return null;
  const keys = orgKeysOf(db.prefix, orgId);
  const ready = requests.map((one) =>
    one.kind === 'worker'
      ? keys.readyBy('rating')
      : keys.ready(one.pool !== null ? `pool:${one.pool}` : 'any'),
  );
  const args = requests.flatMap((one) =>
    one.kind === 'task' ? [`task ${one.task_id}`, ''] : [`worker ${one.worker_id}`, one.worker_id],
  );
  const turn = await withScripts(db.redis).biolayerMatchRequest(
    ...[2 + ready.length, keys.matchRequests, keys.matchTurns, ...ready],
    ...[orgId, ...args],
  );
  return turn === '' ? null : turn;
}

/**
 * The first `count` requests of the org, when `turn` is its current one. They stay until `endTurn`, so a process that
 * dies loses none. @returns the current turn with them; without them when it is another; null when there is none.
 */
export async function takeTurn(
  db: Db,
  orgId: string,
  turn: string,
  count: number,
): Promise<{ current: string; requests: Requested[] } | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const [current = '', ...flat] = await withScripts(db.redis).biolayerMatchTake(
    ...[keys.matchRequests, keys.matchTurns, keys.readyBy('rating'), orgId, turn, count],
  );
  if (current === '') return null;
  const requests = Array.from({ length: flat.length / 2 }, (_, index): Requested => {
    const [kind, id = ''] = (flat[2 * index] ?? '').split(' ');
    return { kind: kind === 'worker' ? 'worker' : 'task', id, sequence: flat[2 * index + 1] ?? '' };
  });
  return { current, requests };
}

/**
 * Ends a turn: takes away what is done, unless it was requested again meanwhile.
 * @returns the turn whose job must exist for the rest; null when nothing is left.
 */
export async function endTurn(
  db: Db,
  orgId: string,
  turn: string,
  done: readonly Requested[],
): Promise<string | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const next = await withScripts(db.redis).biolayerMatchEnd(
    ...[keys.matchRequests, keys.matchTurns, keys.readyBy('rating'), orgId, turn],
    ...done.flatMap(({ kind, id, sequence }) => [`${kind} ${id}`, sequence]),
  );
  return next === '' ? null : next;
}

/** The turns of a partition's orgs that have not ended, and since when each ought to have its job, ms. @param key the partition's `matchTurns`. */
export async function openTurns(
  db: Db,
  key: string,
): Promise<{ org_id: string; turn: string; since: number }[]> {
  const turns = await db.redis.hgetall(key);
  return Object.entries(turns).map(([org_id, turn]) => ({
    org_id,
    turn,
    since: Number(turn.slice(0, 13)),
  }));
}
