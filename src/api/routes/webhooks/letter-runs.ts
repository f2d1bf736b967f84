// What redeliveries of dead letters and the stopping of pending deliveries have in common: both are chosen by callback URL or
// endpoint and by time, and an org has one of each at a time.

import type { AuditEvent } from '../../../state/audit/audit.ts';
import { timeOf } from '../../../state/text/time.ts';
import type { Endpoint } from '../../../state/webhooks/endpoint.ts';
import type { AnyReplay, LetterFilter } from '../../../state/webhooks/replay.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { loadEndpoint } from '../../../store/webhooks/endpoints.ts';
import {
  loadReplay,
  loadReplays,
  oldReplays,
  replaysIndex,
  replayUnderWay,
  startWrites,
} from '../../../store/webhooks/replays.ts';
import { maySee } from '../../access/grants.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { listPage } from '../../http/list.ts';
import { ApiError, type FieldError, invalid, notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { at } from '../../http/validation.ts';
import type { Call } from '../../route.ts';
import type { LetterChoice } from './replays.schema.ts';
import { begun } from './replays.ts';

/** What differs between the two kinds. */
export interface LetterRuns<R extends AnyReplay> {
  /** What one is called, with a capital. */
  noun: string;
  /** Path of the list. */
  path: string;
  /** Stands for the endpoint in the store; see `store/webhooks/replays.ts`. */
  receiver: string;
  isOne(run: AnyReplay): run is R;
  filterOf(run: R): LetterFilter;
  view(run: R): object;
}

/** A delivery has one receiver only. */
export function receiverErrors(body: unknown): FieldError[] {
  if (at(body, 'callback_url') === undefined || at(body, 'endpoint_id') === undefined) return [];
  return [{ pointer: '/endpoint_id', message: 'cannot be given with callback_url' }];
}

/** @throws ApiError 422 when there is no such endpoint */
export async function requireEndpoint(
  { db }: ApiDeps,
  principal: KeyPrincipal,
  id: string,
): Promise<Endpoint> {
  const endpoint = await loadEndpoint(db, principal.org_id, id.toLowerCase());
  if (endpoint === null || !maySee(principal, endpoint))
    throw invalid({ pointer: '/endpoint_id', message: 'is not a webhook endpoint of this org' });
  return endpoint;
}

/** What the record of a run that starts has besides its filter. */
export function newRun(org_id: string, { since: from, until }: LetterChoice, actor: string, now: number) {
  const since = from === undefined ? 0 : Math.max(0, timeOf(from));
  return {
    replay_id: newId(now),
    org_id,
    endpoint_id: null,
    version: 1,
    since,
    until: Math.min(until === undefined ? now : timeOf(until), now),
    ...begun(since, actor, now),
  };
}

/** The deliveries that a request chooses, of tasks that its caller may see. */
export function filterOf({ pools }: KeyPrincipal, body: LetterChoice): LetterFilter {
  return {
    callback_url: body.callback_url ?? null,
    endpoint_id: body.endpoint_id?.toLowerCase() ?? null,
    pools: [...pools],
  };
}

/** Starts a run, and returns the response. @throws ApiError 409 while one is running */
export function startRun<R extends AnyReplay>(
  {
    deps: { db },
    principal: { org_id },
    recordResponse,
    credentialGuards,
  }: Pick<Call<KeyPrincipal>, 'deps' | 'principal' | 'recordResponse' | 'credentialGuards'>,
  { noun, path, receiver, view }: LetterRuns<R>,
  make: (now: number) => R,
  auditEvent: (run: R) => AuditEvent,
): Promise<HttpResponse> {
  return updateWithRetry(noun, async () => {
    const callerGuards = await credentialGuards();
    const running = await replayUnderWay(db, org_id, receiver);
    if (running !== null)
      throw new ApiError(
        'replay_in_progress',
        `${noun} ${running} is running. Wait until it ends, or cancel it.`,
      );
    const old = await oldReplays(db, org_id, receiver);
    const run = make(db.clock.now());
    const headers = { Location: `${path}/${run.replay_id}` };
    const response = { status: 202, body: view(run), headers };
    const whole = merge(callerGuards, startWrites(db, run, old), recordResponse(response));
    return (await commitAudited(db, org_id, auditEvent(run), whole)) ? response : CONFLICT;
  });
}

/** A page of runs that the caller may see: each is for all pools of the key that started it. */
export function listRuns<R extends AnyReplay>(
  { db }: ApiDeps,
  principal: KeyPrincipal,
  runs: LetterRuns<R>,
  query: Parameters<typeof listPage>[1],
): Promise<HttpResponse> {
  const { org_id, pools } = principal;
  return listPage(db, query, {
    indexes: [orgKeysOf(db.prefix, org_id).index(replaysIndex(runs.receiver))],
    boundTo: [runs.path.split('/').at(-1) ?? '', org_id, pools],
    load: async (ids) => (await loadReplays(db, org_id, ids)).map((one) => visibleTo(principal, runs, one)),
    show: (all: R[]) => all.map(runs.view),
  });
}

/** @throws ApiError 404 */
export async function visibleRun<R extends AnyReplay>(
  { db }: ApiDeps,
  principal: KeyPrincipal,
  runs: LetterRuns<R>,
  id: string,
): Promise<R> {
  const found = visibleTo(principal, runs, await loadReplay(db, principal.org_id, id));
  if (found === null) throw notFound();
  return found;
}

function visibleTo<R extends AnyReplay>(
  principal: KeyPrincipal,
  { isOne, filterOf }: LetterRuns<R>,
  run: AnyReplay | null,
): R | null {
  return run !== null && isOne(run) && maySee(principal, filterOf(run)) ? run : null;
}
