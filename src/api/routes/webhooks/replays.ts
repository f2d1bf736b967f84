// Replays: the events of a time range are sent again to an endpoint. A route starts or cancels a replay; the processors
// run it.

import { newAuditEvent } from '../../../state/audit/audit.ts';
import { parseTime, timeOf, timestamp } from '../../../state/text/time.ts';
import type { Endpoint } from '../../../state/webhooks/endpoint.ts';
import type { AnyReplay, Replay } from '../../../state/webhooks/replay.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import {
  endWrites,
  loadReplay,
  loadReplays,
  oldReplays,
  replaysIndex,
  replayUnderWay,
  startWrites,
} from '../../../store/webhooks/replays.ts';
import { enabledEndpoint, visibleEndpoint } from '../../access/pool-visibility.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { listPage } from '../../http/list.ts';
import { ApiError, type FieldError, notFound } from '../../http/problem.ts';
import { closed, PageQuery, pageOf } from '../../http/schemas.ts';
import { at } from '../../http/validation.ts';
import { route, scope } from '../../route.ts';
import { cancelRun } from '../runs/cancel-run.ts';
import { EndpointParams } from './endpoints.schema.ts';
import { ReplayParams, ReplayStart, ReplayView } from './replays.schema.ts';

const REPLAY = { 200: { description: 'The replay', schema: ReplayView } };

export const replayRoutes = [
  route({
    method: 'POST',
    path: '/v1/webhook-endpoints/{endpoint_id}/replay',
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    adds: true,
    operationId: 'startReplay',
    summary: 'Send past events to an endpoint again',
    description: 'Starts a replay of the events of a time range. An endpoint has one replay at a time.',
    params: EndpointParams,
    body: ReplayStart,
    rules: async (body, { deps }) => rangeErrors(body, deps.db.clock.now()),
    responses: { 202: { description: 'The replay has started', schema: ReplayView, headers: ['Location'] } },
    errors: ['endpoint_unavailable', 'replay_in_progress'],
    async handler({ deps, principal, params, actor, body, ifMatch, recordResponse, credentialGuards }) {
      return updateWithRetry('webhook endpoint', async () => {
        const callerGuards = await credentialGuards();
        const { endpoint, asLoaded } = await enabledEndpoint(deps.db, principal, params.endpoint_id, ifMatch);
        const { org_id, endpoint_id } = endpoint;
        const running = await replayUnderWay(deps.db, org_id, endpoint_id);
        if (running !== null)
          throw new ApiError(
            'replay_in_progress',
            `Replay ${running} to this endpoint is running. Wait until it ends, or cancel it.`,
          );
        const old = await oldReplays(deps.db, org_id, endpoint_id);
        const replay = newReplay(endpoint, body, actor, deps.db.clock.now());
        const { replay_id } = replay;
        const path = `/v1/webhook-endpoints/${endpoint_id}/replays/${replay_id}`;
        const response = { status: 202, body: replayView(replay), headers: { Location: path } };
        const { deliveries, since, until } = replay;
        const auditEvent = {
          ...newAuditEvent(actor, 'webhook_endpoint.replay_started', 'webhook_endpoint', endpoint_id),
          data: { replay_id, deliveries, since: timestamp(since), until: timestamp(until) },
        };
        const whole = merge(
          callerGuards,
          asLoaded,
          startWrites(deps.db, replay, old),
          recordResponse(response),
        );
        if (await commitAudited(deps.db, org_id, auditEvent, whole)) return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/webhook-endpoints/{endpoint_id}/replays',
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'listReplays',
    summary: 'List the replays to an endpoint',
    description: 'Lists running and finished replays with their progress.',
    params: EndpointParams,
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of replays', schema: pageOf(ReplayView) } },
    async handler({ deps, principal, params, query }) {
      const { db } = deps;
      const { org_id, endpoint_id } = await visibleEndpoint(db, principal, params.endpoint_id);
      return listPage(db, query, {
        indexes: [orgKeysOf(db.prefix, org_id).index(replaysIndex(endpoint_id))],
        boundTo: ['replays', org_id, endpoint_id],
        load: async (ids) =>
          (await loadReplays(db, org_id, ids)).map((one) => (one?.endpoint_id === endpoint_id ? one : null)),
        show: (replays) => replays.map(replayView),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/webhook-endpoints/{endpoint_id}/replays/{replay_id}',
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'getReplay',
    summary: 'Retrieve a replay',
    description: 'Shows the replay with its progress.',
    params: ReplayParams,
    responses: REPLAY,
    async handler({ deps, principal, params }) {
      return { status: 200, body: replayView(await visibleReplay(deps, principal, params)) };
    },
  }),
  route({
    method: 'POST',
    path: '/v1/webhook-endpoints/{endpoint_id}/replays/{replay_id}/cancel',
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    operationId: 'cancelReplay',
    summary: 'Cancel a replay',
    description: 'The rest of its events is not sent again. Deliveries that it made are not affected.',
    params: ReplayParams,
    body: closed({}),
    bodyOptional: true,
    responses: REPLAY,
    errors: ['invalid_transition'],
    handler: (call) =>
      cancelRun<Replay>(call, {
        noun: 'replay',
        load: () => visibleReplay(call.deps, call.principal, call.params),
        endWrites,
        auditEvent: ({ endpoint_id, replay_id, sent }) => ({
          ...newAuditEvent(call.actor, 'webhook_endpoint.replay_cancelled', 'webhook_endpoint', endpoint_id),
          data: { replay_id, sent },
        }),
        view: replayView,
      }),
  }),
];

/** @throws ApiError 404 */
async function visibleReplay(
  deps: ApiDeps,
  principal: KeyPrincipal,
  params: { endpoint_id: string; replay_id: string },
): Promise<Replay> {
  const { org_id, endpoint_id } = await visibleEndpoint(deps.db, principal, params.endpoint_id);
  const replay = await loadReplay(deps.db, org_id, params.replay_id);
  if (replay?.endpoint_id !== endpoint_id || replay.endpoint_id === null) throw notFound();
  return replay;
}

function newReplay(endpoint: Endpoint, body: ReplayStart, actor: string, now: number): Replay {
  const { org_id, endpoint_id } = endpoint;
  const since = Math.max(0, timeOf(body.since));
  return {
    replay_id: newId(now),
    org_id,
    endpoint_id,
    version: 1,
    deliveries: body.deliveries ?? 'failed',
    since,
    until: Math.min(body.until === undefined ? now : timeOf(body.until), now),
    ...begun(since, actor, now),
  };
}

/** The progress of a replay that starts. @param since time of the first event, ms */
export function begun(since: number, actor: string, now: number) {
  return {
    status: 'running',
    reason: null,
    cursor: null,
    walked: false,
    reached: since,
    examined: 0,
    sent: 0,
    succeeded: 0,
    failed: 0,
    created_by: actor,
    created_at: now,
    updated_at: now,
    finished_at: null,
  } as const;
}

/** The errors of the time range `since` to `until`. @param now ms */
export function rangeErrors(body: unknown, now: number): FieldError[] {
  const given = (name: string) => {
    const text = at(body, name);
    return typeof text === 'string' ? parseTime(text) : null;
  };
  const [since, until] = [given('since'), given('until')];
  const errors: FieldError[] = [];
  if (since !== null && !(since <= now)) errors.push({ pointer: '/since', message: 'must be in the past' });
  else if (until !== null && !(until > (since ?? 0)))
    errors.push({ pointer: '/until', message: 'must be later than since' });
  return errors;
}

function replayView(replay: Replay): object {
  const { replay_id, endpoint_id, deliveries } = replay;
  return { replay_id, endpoint_id, deliveries, ...progressView(replay), hint: hintOf(replay) };
}

/** Why an ended replay has sent nothing; null for any other. */
function hintOf({ status, sent, pending = 0, deliveries }: Replay): string | null {
  if (status !== 'completed' || sent > 0) return null;
  if (pending > 0) return `${pending} deliveries of this period are pending: they are sent by themselves.`;
  if (deliveries === 'failed')
    return 'No delivery of this period has failed. Choose `undelivered` or `all` to send others.';
  return 'There is no such event in this period that the endpoint wants.';
}

/** What the views of replays and redeliveries have in common. */
export function progressView(replay: AnyReplay): object {
  const { reached, examined } = replay;
  return {
    ...baseView(replay),
    reason: replay.reason,
    reached_at: examined === 0 ? null : timestamp(reached),
    examined,
    sent: replay.sent,
    succeeded: replay.succeeded,
    failed: replay.failed,
  };
}

/** What the views of all these runs have in common. */
export function baseView(replay: AnyReplay): object {
  const { since, until, status, created_by, created_at, updated_at, finished_at } = replay;
  return {
    since: timestamp(since),
    until: timestamp(until),
    status,
    created_by,
    created_at: timestamp(created_at),
    updated_at: timestamp(updated_at),
    finished_at: finished_at === null ? null : timestamp(finished_at),
  };
}
