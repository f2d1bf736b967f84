// Stops pending deliveries: those of a callback URL or an endpoint, chosen by time, are not sent any more. It runs like a
// redelivery, one at a time for an org.

import { newAuditEvent } from '../../../state/audit/audit.ts';
import { timestamp } from '../../../state/text/time.ts';
import { type DeliveryStop, isStop } from '../../../state/webhooks/replay.ts';
import { endWrites, STOPS } from '../../../store/webhooks/replays.ts';
import type { FieldError } from '../../http/problem.ts';
import { closed, PageQuery, pageOf } from '../../http/schemas.ts';
import { at } from '../../http/validation.ts';
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
import { StopParams, StopStart, StopView } from './replays.schema.ts';
import { baseView, rangeErrors } from './replays.ts';

const STOP = { 200: { description: 'The run', schema: StopView } };
const PATH = '/v1/delivery-stops';
const RUNS: LetterRuns<DeliveryStop> = {
  noun: 'Stop',
  path: PATH,
  receiver: STOPS,
  isOne: isStop,
  filterOf: ({ stops }) => stops,
  view,
};

export const deliveryStopRoutes = [
  route({
    method: 'POST',
    path: '/v1/delivery-stops',
    access: scope('webhooks:write'),
    tag: 'Webhooks',
    operationId: 'stopDeliveries',
    summary: 'Stop pending deliveries',
    description:
      'Stops the pending deliveries of a callback URL or an endpoint, also those that wait for a retry. An attempt in progress ends first. Runs in the background; an org has one such run at a time.',
    body: StopStart,
    rules: async (body, { deps }) => [
      ...rangeErrors(body, deps.db.clock.now()),
      ...receiverErrors(body),
      ...missingReceiver(body),
    ],
    responses: { 202: { description: 'The run has started', schema: StopView, headers: ['Location'] } },
    errors: ['replay_in_progress'],
    async handler(call) {
      const { deps, principal, actor, body } = call;
      if (body.endpoint_id !== undefined) await requireEndpoint(deps, principal, body.endpoint_id);
      const stops = filterOf(principal, body);
      return startRun(
        call,
        RUNS,
        (now) => ({ ...newRun(principal.org_id, body, actor, now), stops, busy: 0 }),
        ({ replay_id, since, until }) => ({
          ...newAuditEvent(actor, 'delivery_stop.started', 'delivery_stop', replay_id),
          data: { ...stops, since: timestamp(since), until: timestamp(until) },
        }),
      );
    },
  }),
  route({
    method: 'GET',
    path: PATH,
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'listDeliveryStops',
    summary: 'List the runs that stop deliveries',
    description: 'Lists running and finished runs with their progress.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of runs', schema: pageOf(StopView) } },
    handler: ({ deps, principal, query }) => listRuns(deps, principal, RUNS, query),
  }),
  route({
    method: 'GET',
    path: `${PATH}/{stop_id}`,
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'getDeliveryStop',
    summary: 'Retrieve a run that stops deliveries',
    description: 'Shows the run with its progress.',
    params: StopParams,
    responses: STOP,
    async handler({ deps, principal, params }) {
      return { status: 200, body: view(await visibleRun(deps, principal, RUNS, params.stop_id)) };
    },
  }),
  route({
    method: 'POST',
    path: `${PATH}/{stop_id}/cancel`,
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    operationId: 'cancelDeliveryStop',
    summary: 'Cancel a run that stops deliveries',
    description: 'The rest is sent as usual. What it has stopped remains stopped.',
    params: StopParams,
    body: closed({}),
    bodyOptional: true,
    responses: STOP,
    errors: ['invalid_transition'],
    handler: (call) =>
      cancelRun<DeliveryStop>(call, {
        noun: 'stop',
        load: () => visibleRun(call.deps, call.principal, RUNS, call.params.stop_id),
        endWrites,
        auditEvent: ({ replay_id, sent }) => ({
          ...newAuditEvent(call.actor, 'delivery_stop.cancelled', 'delivery_stop', replay_id),
          data: { stopped: sent },
        }),
        view,
      }),
  }),
];

/** Nothing is stopped without saying whose deliveries are meant. */
function missingReceiver(body: unknown): FieldError[] {
  if (at(body, 'callback_url') !== undefined || at(body, 'endpoint_id') !== undefined) return [];
  return [{ pointer: '/callback_url', message: 'is required, unless endpoint_id is given' }];
}

function view(stop: DeliveryStop): object {
  const { replay_id, stops, examined, sent, status } = stop;
  return {
    stop_id: replay_id,
    callback_url: stops.callback_url,
    endpoint_id: stops.endpoint_id,
    ...baseView(stop),
    examined,
    stopped: sent,
    hint: status === 'completed' && sent === 0 ? 'No delivery of this receiver and period is pending.' : null,
  };
}
