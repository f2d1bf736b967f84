// Match requests: the tasks and workers of an org that are to be matched, and the turn in which this happens. An org has
// one turn at a time, however many requests it has: the job of the turn matches a bounded number, and the rest gets a
// turn after the other orgs. A request is dropped while no worker is ready; a worker that becomes ready is requested.
// While the org is suspended, its requests wait.

import type { MatchRequest } from '../../state/outbox.ts';
import { isTracing } from '../../tracing/tracing.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf, sharedKeysOf } from '../redis/keys.ts';
import { defineScript } from '../redis/scripts.ts';

/** A stored request. `sequence` changes when the same is requested again. */
export interface Requested {
  kind: MatchRequest['kind'];
  id: string;
  sequence: string;
  /** The span that requested it last, if it belongs to a trace. */
  trace?: string | undefined;
}

/** How long the span of a request is kept, ms; a match that comes later begins a trace of its own. */
const TRACE_KEPT = 60_000;

// KEYS: requests, turns, and for each request the set of ready workers it depends on. ARGV: org, then for each request
// its member and a worker that must be in that set, or '' for any. Returns the turn if it is new, or ''.
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
if not isNew or redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return '' end
local time = redis.call('TIME')
local turn = string.format('%d%06d', time[1], time[2])
redis.call('HSET', KEYS[2], ARGV[1], turn)
return turn
`;

// KEYS: requests, turns, all ready workers, suspension. ARGV: org, turn, count. Drops all requests when no worker is
// ready. Returns the turn and the requests with their sequences; only the current turn when it is another; '' while the
// org is suspended.
const TAKE = `
local turn = redis.call('HGET', KEYS[2], ARGV[1])
if turn ~= ARGV[2] then return {turn or ''} end
-- EXISTS counts a repeated key twice: 0 = no worker ready, 2 = workers ready, odd = org suspended. One call answers both
-- questions.
local found = redis.call('EXISTS', KEYS[3], KEYS[3], KEYS[4])
if found % 2 == 1 then return {''} end
if found == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  return {''}
end
local requests = redis.call('ZRANGE', KEYS[1], 0, ARGV[3] - 1, 'WITHSCORES')
table.insert(requests, 1, turn)
return requests
`;

// KEYS: as above. ARGV: org, turn, then each finished request and its sequence. Returns the next turn, or ''.
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

const runRequest = defineScript<string>(REQUEST);
const runTake = defineScript<string[]>(TAKE);
const runEnd = defineScript<string>(END);

/**
 * Stores those of the requests for which a worker is ready.
 * @returns the new turn, which needs a job; null when there is nothing to match, or the org already has a turn.
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
  const args = requests.flatMap((one) => [memberOf(one), one.kind === 'task' ? '' : one.worker_id]);
  const traced = requests.flatMap((one) =>
    one.trace === undefined ? [] : { key: keys.matchTrace(memberOf(one)), trace: one.trace },
  );
  // Not awaited before the request: the commands of a connection run in order.
  const keeping = traced.map(({ key, trace }) => db.redis.set(key, trace, 'PX', TRACE_KEPT));
  const turn = await runRequest(db.redis, [keys.matchRequests, keys.matchTurns, ...ready], [orgId, ...args]);
  await Promise.all(keeping);
  return turn === '' ? null : turn;
}

/**
 * The first `count` requests of the org, if `turn` is its current turn. They stay stored until `endTurn`, so a crash
 * loses none.
 * @returns the current turn with the requests; without requests when it is another turn; null when there is none, or
 *   the org is suspended.
 */
export async function takeTurn(
  db: Db,
  orgId: string,
  turn: string,
  count: number,
): Promise<{ current: string; requests: Requested[] } | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const { suspended } = sharedKeysOf(db.prefix, orgId);
  const [current = '', ...flat] = await runTake(
    db.redis,
    [keys.matchRequests, keys.matchTurns, keys.readyBy('rating'), suspended],
    [orgId, turn, count],
  );
  if (current === '') return null;
  const members = flat.filter((_, index) => index % 2 === 0);
  const traces =
    isTracing() && members.length > 0 ? await db.redis.mget(members.map((one) => keys.matchTrace(one))) : [];
  const requests = members.map((member, index): Requested => {
    const [kind, id = ''] = member.split(' ');
    const [sequence = '', trace = null] = [flat[2 * index + 1], traces[index]];
    return { kind: kind === 'worker' ? 'worker' : 'task', id, sequence, ...(trace !== null && { trace }) };
  });
  return { current, requests };
}

function memberOf(request: MatchRequest): string {
  return request.kind === 'task' ? `task ${request.task_id}` : `worker ${request.worker_id}`;
}

/**
 * Ends a turn: removes the finished requests, except those requested again since `takeTurn`.
 * @returns the next turn, which needs a job; null when no request remains.
 */
export async function endTurn(
  db: Db,
  orgId: string,
  turn: string,
  done: readonly Requested[],
): Promise<string | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const next = await runEnd(
    db.redis,
    [keys.matchRequests, keys.matchTurns, keys.readyBy('rating')],
    [orgId, turn, ...done.flatMap(({ kind, id, sequence }) => [`${kind} ${id}`, sequence])],
  );
  return next === '' ? null : next;
}

/**
 * The current turns of a partition's orgs, and when each began, ms: since then its job should exist.
 * @param key the partition's `matchTurns`.
 */
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
