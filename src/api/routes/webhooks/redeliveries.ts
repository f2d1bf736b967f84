// Redeliveries: many dead letters are sent again to their receivers, chosen by callback URL, endpoint and time. They run like
// replays, one at a time for an org.

import { newAuditEvent } from '../../../state/audit/audit.ts';
import { timestamp } from '../../../state/text/time.ts';
import { isRedelivery, type Redelivery } from '../../../state/webhooks/replay.ts';
import { DEAD_LETTERS, endWrites } from '../../../store/webhooks/replays.ts';
import { ApiError } from '../../http/problem.ts';
import { closed, PageQuery, pageOf } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { cancelRun } from '../runs/cancel-run.ts';
import {
  filterOf,
  type LetterRuns,
  listRuns,
  newRun,
  receiverErrors,
  requireEndpoint,
  startRun,
  visibleRun,
} from './letter-runs.ts';
import { RedeliveryParams, RedeliveryStart, RedeliveryView } from './replays.schema.ts';
import { progressView, rangeErrors } from './replays.ts';

const REDELIVERY = { 200: { description: 'The redelivery', schema: RedeliveryView } };
const PATH = '/v1/dead-letters/redeliveries';
const REDELIVERIES: LetterRuns<Redelivery> = {
  noun: 'Redelivery',
  path: PATH,
  receiver: DEAD_LETTERS,
  isOne: isRedelivery,
  filterOf: ({ letters }) => letters,
  view,
};

export const redeliveryRoutes = [
  route({
    method: 'POST',
    path: '/v1/dead-letters/redeliver',
    access: scope('webhooks:write'),
    tag: 'Webhooks',
    adds: true,
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
    async handler(call) {
      const { deps, principal, actor, body } = call;
      if (body.endpoint_id !== undefined) {
        const { enabled } = await requireEndpoint(deps, principal, body.endpoint_id);
        if (!enabled)
          throw new ApiError('endpoint_unavailable', 'The endpoint is disabled. Enable it first.');
      }
      const letters = filterOf(principal, body);
      return startRun(
        call,
        REDELIVERIES,
        (now) => ({ ...newRun(principal.org_id, body, actor, now), letters }),
        ({ replay_id, since, until }) => ({
          ...newAuditEvent(actor, 'redelivery.started', 'redelivery', replay_id),
          data: { ...letters, since: timestamp(since), until: timestamp(until) },
        }),
      );
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
    handler: ({ deps, principal, query }) => listRuns(deps, principal, REDELIVERIES, query),
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
      return {
        status: 200,
        body: view(await visibleRun(deps, principal, REDELIVERIES, params.redelivery_id)),
      };
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
        load: () => visibleRun(call.deps, call.principal, REDELIVERIES, call.params.redelivery_id),
        endWrites,
        auditEvent: ({ replay_id, sent }) => ({
          ...newAuditEvent(call.actor, 'redelivery.cancelled', 'redelivery', replay_id),
          data: { sent },
        }),
        view,
      }),
  }),
];

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
