// Webhook endpoints: receivers that an org registers for the events of all its tasks.

import { orgOf } from '../../../state/access/tenant.ts';
import { type AuditEvent, changesOf, newAuditEvent } from '../../../state/audit/audit.ts';
import { isSame } from '../../../state/text/same.ts';
import { timestamp } from '../../../state/text/time.ts';
import type { Endpoint } from '../../../state/webhooks/endpoint.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { commit, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { endpointWrites, loadEndpoints } from '../../../store/webhooks/endpoints.ts';
import { messageWrites } from '../../../store/webhooks/fan-out.ts';
import { maySee } from '../../access/grants.ts';
import { enabledEndpoint, visibleEndpoint } from '../../access/pool-visibility.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import { requireVersion } from '../../http/etag.ts';
import { listPage } from '../../http/list.ts';
import { ApiError } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, idOf, PageQuery, pageOf } from '../../http/schemas.ts';
import { type Call, route, scope } from '../../route.ts';
import { WebhookEvent } from '../tasks/webhook-event.schema.ts';
import { changed, endpointErrors, newEndpoint, rotated, secretErrors } from './endpoint-input.ts';
import { endpointResponse, endpointView, failingSince } from './endpoint-view.ts';
import {
  EndpointChange,
  EndpointCreate,
  EndpointParams,
  EndpointView,
  EndpointWithSecret,
  RotateSecret,
} from './endpoints.schema.ts';

export const endpointRoutes = [
  route({
    method: 'POST',
    path: '/v1/webhook-endpoints',
    access: scope('webhooks:write'),
    tag: 'Webhooks',
    adds: true,
    operationId: 'createWebhookEndpoint',
    summary: 'Create a webhook endpoint',
    description:
      'It receives the events of all tasks that the key may see. The secret that signs them is shown once, in this answer.',
    body: EndpointCreate,
    webhook: WebhookEvent,
    rules: async (body, { deps }) => endpointErrors(deps, body),
    responses: {
      201: {
        description: 'The endpoint with its secret',
        schema: EndpointWithSecret,
        headers: ['ETag', 'Location'],
      },
    },
    async handler({ deps, principal, actor, body, recordResponse, credentialGuards }) {
      const { db } = deps;
      const { endpoint, secret } = newEndpoint(deps, principal, body);
      const response = endpointResponse(endpoint, null, { status: 201, secret });
      const auditEvent = auditEventOf(actor, 'webhook_endpoint.created', endpoint);
      return updateWithRetry('webhook endpoint', async () => {
        const callerGuards = await credentialGuards();
        const room = await deps.usage.quotaGuards(principal.org_id, 'endpoints');
        const whole = merge(callerGuards, room, endpointWrites(db, null, endpoint), recordResponse(response));
        if (await commitAudited(db, principal.org_id, auditEvent, whole)) return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/webhook-endpoints',
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'listWebhookEndpoints',
    summary: 'List webhook endpoints',
    description: 'Lists the endpoints that the key may see, without their secrets.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of endpoints', schema: pageOf(EndpointView) } },
    handler({ deps: { db }, principal, query }) {
      const { org_id, pools } = principal;
      return listPage(db, query, {
        indexes: [orgKeysOf(db.prefix, org_id).index('endpoints')],
        boundTo: ['endpoints', org_id, pools],
        load: async (ids) =>
          (await loadEndpoints(db, org_id, ids)).map((one) =>
            one !== null && maySee(principal, one) ? one : null,
          ),
        show: (endpoints) =>
          Promise.all(endpoints.map(async (one) => endpointView(one, await failingSince(db, one)))),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/webhook-endpoints/{endpoint_id}',
    access: scope('webhooks:read'),
    tag: 'Webhooks',
    operationId: 'getWebhookEndpoint',
    summary: 'Retrieve a webhook endpoint',
    description: 'Shows the endpoint and whether it is failing, without its secret.',
    params: EndpointParams,
    responses: { 200: { description: 'The endpoint', schema: EndpointView, headers: ['ETag'] } },
    async handler({ deps, principal, params }) {
      const endpoint = await visibleEndpoint(deps.db, principal, params.endpoint_id);
      return endpointResponse(endpoint, await failingSince(deps.db, endpoint));
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/webhook-endpoints/{endpoint_id}',
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    operationId: 'updateWebhookEndpoint',
    summary: 'Update a webhook endpoint',
    description: 'Changes the given fields. Pending deliveries follow the change.',
    params: EndpointParams,
    body: EndpointChange,
    rules: async (body, { deps }) => endpointErrors(deps, body),
    responses: { 200: { description: 'The endpoint', schema: EndpointView, headers: ['ETag'] } },
    handler: (call) => change(call, (before) => changed(call.deps, before, call.body)),
  }),
  route({
    method: 'DELETE',
    path: '/v1/webhook-endpoints/{endpoint_id}',
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    operationId: 'deleteWebhookEndpoint',
    summary: 'Remove a webhook endpoint',
    description: 'Its pending deliveries are not sent.',
    params: EndpointParams,
    responses: { 204: { description: 'Removed' } },
    async handler({ deps, principal, params, actor, ifMatch, credentialGuards }) {
      return updateWithRetry('webhook endpoint', async () => {
        const callerGuards = await credentialGuards();
        const before = await visibleEndpoint(deps.db, principal, params.endpoint_id);
        requireVersion(before.version, ifMatch);
        const auditEvent = auditEventOf(actor, 'webhook_endpoint.deleted', before);
        const gone = merge(callerGuards, endpointWrites(deps.db, before, null));
        if (await commitAudited(deps.db, principal.org_id, auditEvent, gone)) return { status: 204 };
        return CONFLICT;
      });
    },
  }),
  ...(['enable', 'disable'] as const).map((word) =>
    route({
      method: 'POST',
      path: `/v1/webhook-endpoints/{endpoint_id}/${word}`,
      access: scope('webhooks:write'),
      versioned: true,
      tag: 'Webhooks',
      operationId: word === 'enable' ? 'enableWebhookEndpoint' : 'disableWebhookEndpoint',
      summary: word === 'enable' ? 'Enable a webhook endpoint' : 'Disable a webhook endpoint',
      description:
        word === 'enable'
          ? 'New events are sent to it again. Those missed meanwhile can be replayed.'
          : 'Events are not sent to it until it is enabled.',
      params: EndpointParams,
      body: closed({}),
      bodyOptional: true,
      responses: { 200: { description: 'The endpoint', schema: EndpointView, headers: ['ETag'] } },
      handler: (call) => change(call, (before) => changed(call.deps, before, { enabled: word === 'enable' })),
    }),
  ),
  route({
    method: 'POST',
    path: '/v1/webhook-endpoints/{endpoint_id}/rotate-secret',
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    operationId: 'rotateWebhookEndpointSecret',
    summary: 'Replace the secret of a webhook endpoint',
    description:
      'The new secret is shown once, in this answer. Deliveries are signed with both secrets for a while.',
    params: EndpointParams,
    body: RotateSecret,
    bodyOptional: true,
    rules: async (body) => secretErrors(body),
    responses: {
      200: { description: 'The endpoint with its new secret', schema: EndpointWithSecret, headers: ['ETag'] },
    },
    async handler({ deps, principal, params, actor, body, ifMatch, recordResponse, credentialGuards }) {
      return updateWithRetry('webhook endpoint', async () => {
        const callerGuards = await credentialGuards();
        const before = await visibleEndpoint(deps.db, principal, params.endpoint_id);
        requireVersion(before.version, ifMatch);
        if (before.signature === 'v1a' && body.secret !== undefined)
          throw invalid('/secret', 'is only for signature v1');
        const { after, secret } = rotated(deps, before, body);
        const response = endpointResponse(after, await failingSince(deps.db, after), { status: 200, secret });
        const done = await commitAudited(
          deps.db,
          principal.org_id,
          newAuditEvent(actor, 'webhook_endpoint.secret_rotated', 'webhook_endpoint', after.endpoint_id),
          merge(callerGuards, endpointWrites(deps.db, before, after), recordResponse(response)),
        );
        if (done) return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'POST',
    path: '/v1/webhook-endpoints/{endpoint_id}/test',
    access: scope('webhooks:write'),
    versioned: true,
    tag: 'Webhooks',
    operationId: 'testWebhookEndpoint',
    summary: 'Send a test event to a webhook endpoint',
    description:
      'Sends an event of the type `webhook_endpoint.test`; the outcome is in the deliveries of the endpoint.',
    params: EndpointParams,
    body: closed({}),
    bodyOptional: true,
    responses: {
      202: { description: 'The event will be sent', schema: closed({ event_id: idOf('event') }) },
    },
    errors: ['endpoint_unavailable'],
    async handler({ deps, principal, params, ifMatch, recordResponse, credentialGuards }) {
      const { org_id } = principal;
      const { endpoint_id } = params;
      const now = deps.db.clock.now();
      const id = newId(now);
      const data = { event_id: id, org_id: orgOf(org_id), endpoint_id };
      const body = JSON.stringify({ type: 'webhook_endpoint.test', timestamp: timestamp(now), data });
      const response = { status: 202, body: { event_id: id } };
      const message = messageWrites(deps.db, org_id, endpoint_id, { id, at: now, body });
      return updateWithRetry('webhook endpoint', async () => {
        const callerGuards = await credentialGuards();
        const { asLoaded } = await enabledEndpoint(deps.db, principal, endpoint_id, ifMatch);
        if (await commit(deps.db.redis, merge(callerGuards, asLoaded, message, recordResponse(response))))
          return response;
        return CONFLICT;
      });
    },
  }),
];

async function change(
  call: Pick<
    Call<KeyPrincipal, { endpoint_id: string }>,
    'deps' | 'principal' | 'params' | 'actor' | 'ifMatch' | 'credentialGuards'
  >,
  to: (before: Endpoint) => Endpoint,
): Promise<HttpResponse> {
  const { deps, principal, params, actor, ifMatch, credentialGuards } = call;
  return updateWithRetry('webhook endpoint', async () => {
    const callerGuards = await credentialGuards();
    const before = await visibleEndpoint(deps.db, principal, params.endpoint_id);
    requireVersion(before.version, ifMatch);
    const changed = to(before);
    if (isSame(changed, before)) return endpointResponse(before, await failingSince(deps.db, before));
    const after = { ...changed, version: before.version + 1, updated_at: deps.db.clock.now() };
    const auditEvent: AuditEvent = {
      ...newAuditEvent(actor, 'webhook_endpoint.updated', 'webhook_endpoint', after.endpoint_id),
      data: {
        ...changesOf(before, after, ['url', 'description', 'events', 'enabled', 'retry_policy', 'ordering']),
        ...(before.headers?.sealed !== after.headers?.sealed && { headers: after.headers?.names ?? [] }),
      },
    };
    const whole = merge(callerGuards, endpointWrites(deps.db, before, after));
    if (await commitAudited(deps.db, principal.org_id, auditEvent, whole))
      return endpointResponse(after, await failingSince(deps.db, after));
    return CONFLICT;
  });
}

function auditEventOf(actor: string, action: AuditEvent['action'], endpoint: Endpoint): AuditEvent {
  const { endpoint_id, url, events, pools } = endpoint;
  return { ...newAuditEvent(actor, action, 'webhook_endpoint', endpoint_id), data: { url, events, pools } };
}

function invalid(pointer: string, message: string): ApiError {
  return new ApiError('validation_failed', `${pointer} ${message}.`, { errors: [{ pointer, message }] });
}
