// Redeliveries: many dead letters are sent again to their receivers, chosen by callback URL, endpoint and time. They run like
// replays, one at a time for an org.

import { newAuditEvent } from '../../../state/audit/audit.ts';
import { timeOf, timestamp } from '../../../state/text/time.ts';
import type { AnyReplay, Redelivery } from '../../../state/webhooks/replay.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { loadEndpoint } from '../../../store/webhooks/endpoints.ts';
import {
  DEAD_LETTERS,
  endWrites,
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
import { closed, PageQuery, pageOf } from '../../http/schemas.ts';
import { at } from '../../http/validation.ts';
import { route, scope } from '../../route.ts';
import { cancelRun } from '../runs/cancel-run.ts';
import { RedeliveryParams, RedeliveryStart, RedeliveryView } from './replays.schema.ts';
import { begun, progressView, rangeErrors } from './replays.ts';

const REDELIVERY = { 200: { description: 'The redelivery', schema: RedeliveryView } };
const PATH = '/v1/dead-letters/redeliveries';

export const redeliveryRoutes = [
  route({
    method: 'POST',
    path: '/v1/dead-letters/redeliver',
    access: scope('webhooks:write'),
    tag: 'Webhooks',
    operationId: 'redeliverDeadLetters',
    summary: 'Send many dead letters again',
    description:
      'Sends the deliveries that were given up to their receivers again, chosen by callback URL, endpoint and time. Runs in the background; an org has one redelivery at a time.',
    body: RedeliveryStart,
    rules: async (body, { deps }) => [...rangeErrors(body, deps.db.clock.now()), ...receiverErrors(body)],
    responses: {
      202: { description: 'The redelivery has started', schema: RedeliveryView, headers: ['Location'] },
    },
    errors: ['endpoint_unavailable', 'replay_in_progress'],
    async handler({ deps, principal, actor, body, recordResponse, credentialGuards }) {
      const { org_id } = principal;
      if (body.endpoint_id !== undefined) await requireEndpoint(deps, principal, body.endpoint_id);
      return updateWithRetry('redelivery', async () => {
        const callerGuards = await credentialGuards();
        const running = await replayUnderWay(deps.db, org_id, DEAD_LETTERS);
        if (running !== null)
          throw new ApiError(
            'replay_in_progress',
            `Redelivery ${running} is running. Wait until it ends, or cancel it.`,
          );
        const old = await oldReplays(deps.db, org_id, DEAD_LETTERS);
        const redelivery = newRedelivery(principal, body, actor, deps.db.clock.now());
        const { replay_id, since, until, letters } = redelivery;
        const headers = { Location: `${PATH}/${replay_id}` };
        const response = { status: 202, body: view(redelivery), headers };
        const auditEvent = {
          ...newAuditEvent(actor, 'redelivery.started', 'redelivery', replay_id),
          data: { ...letters, since: timestamp(since), until: timestamp(until) },
        };
        const whole = merge(callerGuards, startWrites(deps.db, redelivery, old), recordResponse(response));
        return (await commitAudited(deps.db, org_id, auditEvent, whole)) ? response : CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: PATH,
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'listRedeliveries',
    summary: 'List the redeliveries of dead letters',
    description: 'Lists running and finished redeliveries with their progress.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of redeliveries', schema: pageOf(RedeliveryView) } },
    handler({ deps: { db }, principal, query }) {
      const { org_id, pools } = principal;
      return listPage(db, query, {
        indexes: [orgKeysOf(db.prefix, org_id).index(replaysIndex(DEAD_LETTERS))],
        boundTo: ['redeliveries', org_id, pools],
        load: async (ids) => (await loadReplays(db, org_id, ids)).map((one) => visibleTo(principal, one)),
        show: (redeliveries) => redeliveries.map(view),
      });
    },
  }),
  route({
    method: 'GET',
    path: `${PATH}/{redelivery_id}`,
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'getRedelivery',
    summary: 'Retrieve a redelivery of dead letters',
    description: 'Shows the redelivery with its progress.',
    params: RedeliveryParams,
    responses: REDELIVERY,
    async handler({ deps, principal, params }) {
      return { status: 200, body: view(await visibleRedelivery(deps, principal, params.redelivery_id)) };
    },
  }),
  route({
    method: 'POST',
    path: `${PATH}/{redelivery_id}/cancel`,
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    operationId: 'cancelRedelivery',
    summary: 'Cancel a redelivery of dead letters',
    description: 'The rest is not sent again. Deliveries that it made are not affected.',
    params: RedeliveryParams,
    body: closed({}),
    bodyOptional: true,
    responses: REDELIVERY,
    errors: ['invalid_transition'],
    handler: (call) =>
      cancelRun<Redelivery>(call, {
        noun: 'redelivery',
        load: () => visibleRedelivery(call.deps, call.principal, call.params.redelivery_id),
        endWrites,
        auditEvent: ({ replay_id, sent }) => ({
          ...newAuditEvent(call.actor, 'redelivery.cancelled', 'redelivery', replay_id),
          data: { sent },
        }),
        view,
      }),
  }),
];

/** A delivery has one receiver only. */
function receiverErrors(body: unknown): FieldError[] {
  if (at(body, 'callback_url') === undefined || at(body, 'endpoint_id') === undefined) return [];
  return [{ pointer: '/endpoint_id', message: 'cannot be given with callback_url' }];
}

/** @throws ApiError 422 when there is no such endpoint, 409 when it is disabled */
async function requireEndpoint({ db }: ApiDeps, principal: KeyPrincipal, id: string): Promise<void> {
  const endpoint = await loadEndpoint(db, principal.org_id, id.toLowerCase());
  if (endpoint === null || !maySee(principal, endpoint))
    throw invalid({ pointer: '/endpoint_id', message: 'is not a webhook endpoint of this org' });
  if (!endpoint.enabled)
    throw new ApiError('endpoint_unavailable', 'The endpoint is disabled. Enable it first.');
}

function newRedelivery(
  { org_id, pools }: KeyPrincipal,
  body: RedeliveryStart,
  actor: string,
  now: number,
): Redelivery {
  const since = body.since === undefined ? 0 : Math.max(0, timeOf(body.since));
  return {
    replay_id: newId(now),
    org_id,
    endpoint_id: null,
    version: 1,
    letters: {
      callback_url: body.callback_url ?? null,
      endpoint_id: body.endpoint_id?.toLowerCase() ?? null,
      pools: [...pools],
    },
    since,
    until: Math.min(body.until === undefined ? now : timeOf(body.until), now),
    ...begun(since, actor, now),
  };
}

/** A redelivery that the key may see: it is for all pools of the key that started it. */
function visibleTo(principal: KeyPrincipal, replay: AnyReplay | null): Redelivery | null {
  return replay?.endpoint_id === null && maySee(principal, replay.letters) ? replay : null;
}

/** @throws ApiError 404 */
async function visibleRedelivery({ db }: ApiDeps, principal: KeyPrincipal, id: string): Promise<Redelivery> {
  const found = visibleTo(principal, await loadReplay(db, principal.org_id, id));
  if (found === null) throw notFound();
  return found;
}

function view(redelivery: Redelivery): object {
  const { replay_id, letters, status, sent } = redelivery;
  const isEmpty = status === 'completed' && sent === 0;
  return {
    redelivery_id: replay_id,
    callback_url: letters.callback_url,
    endpoint_id: letters.endpoint_id,
    ...progressView(redelivery),
    hint: isEmpty
      ? 'No dead letter matches. A delivery becomes one after its last retry; pending ones are sent by themselves.'
      : null,
  };
}
