// OAuth clients of an org. A client can get only permissions that the caller has; its secret is shown once; removing it
// revokes all its tokens.

import Type from 'typebox';
import { type AuditEvent, changesOf, newAuditEvent } from '../../../state/audit/audit.ts';
import { isSame } from '../../../state/text/same.ts';
import { timestamp } from '../../../state/text/time.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { newCredential } from '../../../store/identity/credential-text.ts';
import {
  CLIENT_SHAPE,
  GRANT_TYPES,
  loadOAuthClient,
  newClientId,
  type OAuthClient,
  oauthClientWrites,
} from '../../../store/identity/oauth-clients.ts';
import { type Change, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { maySee, requireNonExpiring, requirePermissionsOf } from '../../access/grants.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion, versionedResponse } from '../../http/etag.ts';
import { ApiError, notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, PageQuery, PoolList, pageOf, word } from '../../http/schemas.ts';
import { type Call, liveScope, route, scope } from '../../route.ts';
import { requireValidClient } from './oauth-client-validation.ts';
import {
  ClientView,
  GRANTS,
  LogoutUris,
  Name,
  Params,
  PUBLIC,
  RedirectUris,
  Scopes,
  SecretShown,
} from './oauth-clients.schema.ts';
import { listRecords } from './record-list.ts';

export const oauthClientRoutes = [
  route({
    method: 'POST',
    path: '/v1/oauth-clients',
    access: liveScope('oauth:write'),
    tag: 'OAuth',
    adds: true,
    operationId: 'createOAuthClient',
    summary: 'Create an OAuth client',
    description: 'A confidential client gets a secret, which is shown once, in this answer.',
    body: closed({
      name: Name,
      grant_types: Type.Optional(
        Type.Array(word(GRANT_TYPES), {
          minItems: 1,
          uniqueItems: true,
          default: ['client_credentials'],
          description: GRANTS,
        }),
      ),
      public: Type.Optional(
        Type.Boolean({
          default: false,
          description: PUBLIC,
        }),
      ),
      redirect_uris: Type.Optional(RedirectUris),
      post_logout_redirect_uris: Type.Optional(LogoutUris),
      scopes: Scopes,
      pools: Type.Optional(PoolList),
    }),
    admit: (body, principal) => requireNonExpiring(principal, body),
    responses: { 201: { description: 'The client', schema: SecretShown, headers: ['ETag', 'Location'] } },
    errors: ['live_key_required'],
    async handler({ deps, principal, body, recordResponse, actor, credentialGuards }) {
      const now = deps.db.clock.now();
      const secret = newCredential('bls_', principal.org_id);
      const isPublic = body.public ?? false;
      const client: OAuthClient = {
        client_id: newClientId(principal.org_id),
        org_id: principal.org_id,
        version: 1,
        name: body.name,
        grant_types: body.grant_types ?? ['client_credentials'],
        redirect_uris: body.redirect_uris ?? [],
        post_logout_redirect_uris: body.post_logout_redirect_uris ?? [],
        scopes: body.scopes,
        pools: body.pools ?? [...principal.pools],
        secret_hash: isPublic ? null : secret.hash,
        created_at: now,
        updated_at: now,
      };
      const response = clientResponse(client, 201, isPublic ? {} : { client_secret: secret.text });
      const { client_id, name, grant_types, scopes, pools } = client;
      const auditEvent = {
        ...newAuditEvent(actor, 'oauth_client.created', 'oauth_client', client_id),
        data: { name, grant_types, scopes, pools, public: isPublic },
      };
      return updateWithRetry('OAuth client', async () => {
        const callerGuards = await credentialGuards();
        const poolGuards = await requireValidClient(deps.db, client);
        const room = await deps.usage.quotaGuards(client.org_id, 'clients');
        const made = oauthClientWrites(deps.db, null, client);
        const change = merge(callerGuards, poolGuards, room, made, recordResponse(response));
        if (await commitAudited(deps.db, client.org_id, auditEvent, change)) return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/oauth-clients',
    access: scope('oauth:read'),
    tag: 'OAuth',
    operationId: 'listOAuthClients',
    summary: 'List OAuth clients',
    description: 'Shows their permissions, never their secrets.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of clients', schema: pageOf(ClientView) } },
    handler: ({ deps, principal, query }) =>
      listRecords<OAuthClient>(deps, principal, query, {
        index: 'oauth_clients',
        keyOf: (keys, id) => keys.oauthClient(id),
        shape: CLIENT_SHAPE,
        view: clientView,
      }),
  }),
  route({
    method: 'GET',
    path: '/v1/oauth-clients/{client_id}',
    access: scope('oauth:read'),
    tag: 'OAuth',
    operationId: 'getOAuthClient',
    summary: 'Retrieve an OAuth client',
    description: 'Shows the client without its secret.',
    params: Params,
    responses: { 200: { description: 'The client', schema: ClientView, headers: ['ETag'] } },
    handler: async ({ deps, principal, params }) =>
      clientResponse(await visibleClient(deps, principal, params.client_id)),
  }),
  route({
    method: 'PATCH',
    path: '/v1/oauth-clients/{client_id}',
    access: liveScope('oauth:write'),
    versioned: true,
    tag: 'OAuth',
    operationId: 'updateOAuthClient',
    summary: 'Update an OAuth client',
    description: 'Changes the given fields. Its access tokens follow within a second.',
    params: Params,
    body: closed({
      name: Type.Optional(Name),
      redirect_uris: Type.Optional(RedirectUris),
      post_logout_redirect_uris: Type.Optional(LogoutUris),
      scopes: Type.Optional(Scopes),
      pools: Type.Optional(PoolList),
    }),
    admit: (body, principal) => requireNonExpiring(principal, body),
    responses: { 200: { description: 'The client', schema: ClientView, headers: ['ETag'] } },
    handler: async (call) => clientResponse(await changeClient(call, () => call.body)),
  }),
  route({
    method: 'POST',
    path: '/v1/oauth-clients/{client_id}/rotate-secret',
    access: liveScope('oauth:write'),
    versioned: true,
    tag: 'OAuth',
    operationId: 'rotateOAuthClientSecret',
    summary: 'Replace the secret of an OAuth client',
    description: 'The new secret is shown once, in this answer; the old one is rejected at once.',
    params: Params,
    body: closed({}),
    bodyOptional: true,
    grants: true,
    admit: (_body, principal) => requireNonExpiring(principal),
    responses: {
      200: { description: 'The client with its new secret', schema: SecretShown, headers: ['ETag'] },
    },
    async handler(call) {
      const { principal, recordResponse } = call;
      const { text, hash } = newCredential('bls_', principal.org_id);
      const responseOf = (client: OAuthClient) => clientResponse(client, 200, { client_secret: text });
      const change = (before: OAuthClient) => {
        if (before.secret_hash === null) throw new ApiError('conflict', 'A public client has no secret.');
        return { secret_hash: hash };
      };
      return responseOf(await changeClient(call, change, (client) => recordResponse(responseOf(client))));
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/oauth-clients/{client_id}',
    access: liveScope('oauth:write'),
    versioned: true,
    tag: 'OAuth',
    operationId: 'deleteOAuthClient',
    summary: 'Remove an OAuth client',
    description: 'All its tokens are revoked.',
    params: Params,
    responses: { 204: { description: 'Removed' } },
    async handler({ deps, principal, params, ifMatch, actor, credentialGuards }) {
      return updateWithRetry('OAuth client', async () => {
        const callerGuards = await credentialGuards();
        const before = await visibleClient(deps, principal, params.client_id);
        requireVersion(before.version, ifMatch);
        requirePermissionsOf(principal, before);
        const { client_id, name, org_id } = before;
        const auditEvent = {
          ...newAuditEvent(actor, 'oauth_client.removed', 'oauth_client', client_id),
          data: { name },
        };
        const gone = merge(callerGuards, oauthClientWrites(deps.db, before, null));
        if (!(await commitAudited(deps.db, org_id, auditEvent, gone))) return CONFLICT;
        deps.forgetCredential(before.client_id);
        return { status: 204 };
      });
    },
  }),
];

async function changeClient(
  call: Pick<
    Call<KeyPrincipal, { client_id: string }>,
    'deps' | 'principal' | 'params' | 'ifMatch' | 'actor' | 'credentialGuards'
  >,
  change: (before: OAuthClient) => Partial<OAuthClient>,
  extraWrites: (after: OAuthClient) => Change = () => merge(),
): Promise<OAuthClient> {
  const { deps, principal, params, ifMatch, actor, credentialGuards } = call;
  return updateWithRetry('OAuth client', async () => {
    const callerGuards = await credentialGuards();
    const before = await visibleClient(deps, principal, params.client_id);
    requireVersion(before.version, ifMatch);
    requirePermissionsOf(principal, before);
    const changed = { ...before, ...change(before) };
    if (isSame(changed, before)) return before;
    const after = { ...changed, version: before.version + 1, updated_at: deps.db.clock.now() };
    const poolGuards = await requireValidClient(deps.db, after);
    const isRotation = after.secret_hash !== before.secret_hash;
    const auditEvent: AuditEvent = {
      ...newAuditEvent(
        actor,
        `oauth_client.${isRotation ? 'secret_rotated' : 'updated'}`,
        'oauth_client',
        after.client_id,
      ),
      data: changesOf(before, after, [
        'name',
        'redirect_uris',
        'post_logout_redirect_uris',
        'scopes',
        'pools',
      ]),
    };
    const whole = merge(
      callerGuards,
      poolGuards,
      oauthClientWrites(deps.db, before, after),
      extraWrites(after),
    );
    if (!(await commitAudited(deps.db, after.org_id, auditEvent, whole))) return CONFLICT;
    deps.forgetCredential(after.client_id);
    return after;
  });
}

async function visibleClient(deps: ApiDeps, principal: KeyPrincipal, id: string): Promise<OAuthClient> {
  const client = await loadOAuthClient(deps.db, id);
  if (client === null || client.org_id !== principal.org_id || !maySee(principal, client)) throw notFound();
  return client;
}

function clientView(client: OAuthClient): object {
  const { client_id, name, grant_types, redirect_uris, post_logout_redirect_uris = [] } = client;
  const { scopes, pools, secret_hash } = client;
  const times = { created_at: timestamp(client.created_at), updated_at: timestamp(client.updated_at) };
  return {
    client_id,
    name,
    grant_types,
    public: secret_hash === null,
    redirect_uris,
    post_logout_redirect_uris,
    scopes,
    pools,
    ...times,
  };
}

function clientResponse(client: OAuthClient, status = 200, secret: object = {}): HttpResponse {
  const body = { ...clientView(client), ...secret };
  return versionedResponse(client, body, `/v1/oauth-clients/${client.client_id}`, status);
}
