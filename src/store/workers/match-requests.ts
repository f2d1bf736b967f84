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
  /** Pool of the workers who may take the task, as requested a moment ago; absent when it is not known. */
  pool?: string;
  /** The span that requested it last, if it belongs to a trace. */
  trace?: string | undefined;
}

/** A turn with its first requests. They stay stored until `endTurn`, so a crash loses none. */
export interface Turn {
  turn: string;
  requests: Requested[];
}

/** How long the span of a request is kept, ms; a match that comes later begins a trace of its own. */
const TRACE_KEPT = 60_000;

// A new turn with its first requests, or only '' while the org is suspended: then the sweeper adds the job of the turn.
// KEYS: requests, turns, suspension. ARGV: org, most requests.
const BEGIN = `
local function begin(former)
  local time = redis.call('TIME')
  local turn = string.format('%d%06d', time[1], time[2])
  if turn == former then turn = turn .. '1' end
  redis.call('HSET', KEYS[2], ARGV[1], turn)
  if redis.call('EXISTS', KEYS[3]) == 1 then return {''} end
  local requests = redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1, 'WITHSCORES')
  table.insert(requests, 1, turn)
  return requests
end
`;

// KEYS: requests, turns, suspension, and for each request the set of ready workers it depends on. ARGV: org, most requests,
// then for each request its member and a worker that must be in that set, or '' for any. Returns the turn if it is new, with its
// requests, or ''.
const REQUEST = `${BEGIN}
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local sequence, isNew = tonumber(last[2] or 0), false
for i = 4, #KEYS do
  local member, worker = ARGV[2 * i - 5], ARGV[2 * i - 4]
  local isReady
  if worker == '' then isReady = redis.call('EXISTS', KEYS[i]) == 1
  else isReady = redis.call('ZSCORE', KEYS[i], worker) end
  if isReady then
    sequence, isNew = sequence + 1, true
    redis.call('ZADD', KEYS[1], sequence, member)
  end
end
if not isNew or redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return {''} end
return begin('')
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

// KEYS: requests, turns, suspension, all ready workers. ARGV: org, most requests, turn, then each finished request and its
// sequence. Returns the next turn with its requests, only the current turn when it is another, or ''.
const END = `${BEGIN}
local current = redis.call('HGET', KEYS[2], ARGV[1])
if current ~= ARGV[3] then return {current or ''} end
for i = 4, #ARGV, 2 do
  local sequence = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if sequence and tonumber(sequence) == tonumber(ARGV[i + 1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('EXISTS', KEYS[4]) == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  return {''}
end
return begin(current)
`;

const runRequest = defineScript<string[]>(REQUEST);
const runTake = defineScript<string[]>(TAKE);
const runEnd = defineScript<string[]>(END);

/**
 * Stores those of the requests for which a worker is ready.
 * @param count most requests that are returned
 * @returns the new turn, which needs a job; null when there is nothing to match, the org already has a turn, or it is suspended.
 */
export async function requestMatches(
  db: Db,
  orgId: string,
  requests: readonly MatchRequest[],
  count: number,
): Promise<Turn | null> {
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
  const { suspended } = sharedKeysOf(db.prefix, orgId);
  const reply = await runRequest(
    db.redis,
    [keys.matchRequests, keys.matchTurns, suspended, ...ready],
    [orgId, count, ...args],
  );
  await Promise.all(keeping);
  const turn = await turnOf(db, orgId, reply);
  for (const one of requests)
    if (one.kind === 'task' && one.pool !== null) {
      const request = turn?.requests.find(({ id }) => id === one.task_id);
      if (request !== undefined) request.pool = one.pool;
    }
  return turn;
}

/**
 * The first `count` requests of the org, if `turn` is its current turn.
 * @returns the current turn with the requests; without requests when it is another turn; null when there is none, or
 *   the org is suspended.
 */
export async function takeTurn(db: Db, orgId: string, turn: string, count: number): Promise<Turn | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const { suspended } = sharedKeysOf(db.prefix, orgId);
  const reply = await runTake(
    db.redis,
    [keys.matchRequests, keys.matchTurns, keys.readyBy('rating'), suspended],
    [orgId, turn, count],
  );
  return turnOf(db, orgId, reply);
}

/** The turn in the reply of a script, with the traces of its requests. */
async function turnOf(db: Db, orgId: string, [turn = '', ...flat]: readonly string[]): Promise<Turn | null> {
  if (turn === '') return null;
  const keys = orgKeysOf(db.prefix, orgId);
  const members = flat.filter((_, index) => index % 2 === 0);
  const traces =
    isTracing() && members.length > 0 ? await db.redis.mget(members.map((one) => keys.matchTrace(one))) : [];
  const requests = members.map((member, index): Requested => {
    const [kind, id = ''] = member.split(' ');
    const [sequence = '', trace = null] = [flat[2 * index + 1], traces[index]];
    return { kind: kind === 'worker' ? 'worker' : 'task', id, sequence, ...(trace !== null && { trace }) };
  });
  return { turn, requests };
}

function memberOf(request: MatchRequest): string {
  return request.kind === 'task' ? `task ${request.task_id}` : `worker ${request.worker_id}`;
}

/**
 * Ends a turn: removes the finished requests, except those requested again since they were taken.
 * @param count most requests that are returned
 * @returns the next turn, which needs a job; without requests when another process has begun it; null when no request remains,
 *   or the org is suspended.
 */
export async function endTurn(
  db: Db,
  orgId: string,
  turn: string,
  done: readonly Requested[],
  count: number,
): Promise<Turn | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const { suspended } = sharedKeysOf(db.prefix, orgId);
  const reply = await runEnd(
    db.redis,
    [keys.matchRequests, keys.matchTurns, suspended, keys.readyBy('rating')],
    [orgId, count, turn, ...done.flatMap(({ kind, id, sequence }) => [`${kind} ${id}`, sequence])],
  );
  return turnOf(db, orgId, reply);
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
