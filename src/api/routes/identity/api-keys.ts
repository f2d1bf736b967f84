// API keys. A key can create only keys with at most its own permissions. A new key is shown once; a rotated key stays
// valid for an overlap; a revoked one is rejected at once. Live and test keys of an org are stored together, so that one
// list shows all of them; a test key sees only test keys.

import Type from 'typebox';
import { MODES, modeOf, orgOf, tenantOf } from '../../../state/access/tenant.ts';
import { newAuditEvent } from '../../../state/audit/audit.ts';
import { timeOf } from '../../../state/text/time.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import {
  type ApiKey,
  apiKeyWrites,
  type ListedKey,
  loadApiKeys,
  newApiKey,
  replacedKeyWrites,
  revokeApiKey,
} from '../../../store/identity/api-keys.ts';
import { openSandbox } from '../../../store/identity/new-org.ts';
import { merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { sharedKeysOf } from '../../../store/redis/keys.ts';
import { memberId } from '../../../store/redis/lists.ts';
import {
  checkPools,
  expiryErrors,
  expiryOf,
  requireGrantable,
  requirePermissionsOf,
} from '../../access/grants.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion } from '../../http/etag.ts';
import { listPage } from '../../http/list.ts';
import { ApiError, notFound, throwIfAny } from '../../http/problem.ts';
import { closed, idOf, PageQuery, pageOf, time, word } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { KeyCreate, KeyCreated, KeyView, keyCreated, keyView, timeOrNull } from './api-key-view.ts';

const DAY_S = 24 * 3600;
/** How long a replaced key stays valid by default, s. */
const OVERLAP_S = DAY_S;
const MAX_OVERLAP_SECONDS = 30 * DAY_S;

const KeyRotate = closed({
  expires_in_seconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: MAX_OVERLAP_SECONDS,
      default: OVERLAP_S,
      description: 'How long the old key stays valid',
    }),
  ),
  expires_at: Type.Optional(time('When the new key expires; default: as the old one')),
});
const KeyParams = Type.Object({ key_id: idOf('API key') });

export const apiKeyRoutes = [
  route({
    method: 'POST',
    path: '/v1/api-keys',
    access: scope('keys:write'),
    tag: 'API keys',
    adds: true,
    operationId: 'createApiKey',
    summary: 'Create an API key',
    description:
      'The key is shown once, in this answer. It cannot be given permissions that the calling key lacks.',
    body: KeyCreate,
    grants: true,
    admit: (body, principal) => requireGrantable(principal, body),
    responses: { 201: { description: 'The key', schema: KeyCreated, headers: ['Location'] } },
    async handler({ deps, principal, actor, body, recordResponse, credentialGuards }) {
      const { name, scopes, pools = [...principal.pools], mode = modeOf(principal.org_id) } = body;
      const org_id = tenantOf(orgOf(principal.org_id), mode);
      const expires_at = expiryOf(principal, body.expires_at);
      return updateWithRetry('API key', async () => {
        const callerGuards = await credentialGuards();
        const poolGuards = await checkPools(deps.db, org_id, body.pools);
        throwIfAny([...poolGuards.errors, ...expiryErrors(principal, expires_at, deps.db.clock.now())]);
        const made = newApiKey(org_id, { name, scopes, pools, expires_at }, deps.db.clock.now());
        const response = keyCreated(made);
        const auditEvent = {
          ...newAuditEvent(actor, 'api_key.created', 'api_key', made.key.key_id),
          data: { mode, name, scopes, pools, expires_at: timeOrNull(expires_at) },
        };
        const key = merge(await deps.usage.quotaGuards(org_id, 'keys'), apiKeyWrites(deps.db, made.key));
        const change = merge(
          callerGuards,
          poolGuards,
          key,
          await openSandbox(deps.db, deps.sealer, org_id),
          recordResponse(response),
        );
        if (await commitAudited(deps.db, orgOf(org_id), auditEvent, change)) return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/api-keys',
    access: scope('keys:read'),
    tag: 'API keys',
    operationId: 'listApiKeys',
    summary: 'List API keys',
    description: 'Shows their permissions and last use, never the keys themselves.',
    query: closed({
      mode: Type.Optional(word(MODES, { description: 'Only live keys, or only test keys' })),
      ...PageQuery,
    }),
    responses: { 200: { description: 'A page of keys', schema: pageOf(KeyView) } },
    handler({ deps: { db }, principal, query }) {
      const { org_id, pools } = principal;
      const { mode } = query;
      return listPage(db, query, {
        indexes: [sharedKeysOf(db.prefix, org_id).index('api_keys')],
        boundTo: ['api_keys', org_id, pools, mode],
        load: async (members) =>
          (await loadApiKeys(db, org_id, members.map(memberId))).map((one) =>
            one !== null &&
            maySeeKey(principal, one.key) &&
            (mode === undefined || modeOf(one.key.org_id) === mode)
              ? one
              : null,
          ),
        show: (keys) => keys.map(keyView),
      });
    },
  }),
  route({
    method: 'POST',
    path: '/v1/api-keys/{key_id}/rotate',
    access: scope('keys:write'),
    versioned: true,
    tag: 'API keys',
    operationId: 'rotateApiKey',
    summary: 'Rotate an API key',
    description: 'Creates a key with the same permissions and keeps the old one valid for an overlap.',
    params: KeyParams,
    body: KeyRotate,
    bodyOptional: true,
    grants: true,
    responses: {
      201: {
        description: 'The new key, with the same permissions',
        schema: KeyCreated,
        headers: ['Location'],
      },
    },
    async handler({ deps, principal, actor, params, body, ifMatch, recordResponse, credentialGuards }) {
      return updateWithRetry('API key', async () => {
        const callerGuards = await credentialGuards();
        const { key: old } = await visibleKey(deps, principal, params.key_id);
        requireVersion(null, ifMatch);
        const { name, scopes, pools, org_id, replaced_by } = old;
        requireGrantable(principal, { scopes, pools });
        if (replaced_by !== undefined)
          throw new ApiError('conflict', `The key was already rotated; key ${replaced_by} replaces it.`);
        const now = deps.db.clock.now();
        const expires_at = body.expires_at === undefined ? old.expires_at : timeOf(body.expires_at);
        throwIfAny(expiryErrors(principal, expires_at, now));
        const made = newApiKey(org_id, { name, scopes, pools, expires_at }, now);
        const response = keyCreated(made);
        const expiresAt = now + (body.expires_in_seconds ?? OVERLAP_S) * 1000;
        const { key_id } = made.key;
        const auditEvent = {
          ...newAuditEvent(actor, 'api_key.rotated', 'api_key', old.key_id),
          data: { name, replaced_by: key_id, expires_at: timeOrNull(expires_at) },
        };
        const change = merge(
          callerGuards,
          await deps.usage.quotaGuards(org_id, 'keys'),
          apiKeyWrites(deps.db, made.key),
          replacedKeyWrites(deps.db, old, { key_id, expiresAt }),
          recordResponse(response),
        );
        if (!(await commitAudited(deps.db, orgOf(org_id), auditEvent, change))) return CONFLICT;
        deps.forgetCredential(old.hash);
        return response;
      });
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/api-keys/{key_id}',
    access: scope('keys:write'),
    versioned: true,
    tag: 'API keys',
    operationId: 'revokeApiKey',
    summary: 'Revoke an API key',
    description: 'It is rejected at once. The calling key needs all permissions that the revoked one has.',
    params: KeyParams,
    responses: { 204: { description: 'Revoked' } },
    async handler({ deps, principal, actor, params, ifMatch, credentialGuards }) {
      return updateWithRetry('API key', async () => {
        const callerGuards = await credentialGuards();
        const { key } = await visibleKey(deps, principal, params.key_id);
        requireVersion(null, ifMatch);
        requirePermissionsOf(principal, key);
        // When a rotation changes the key at the same time, the commit fails and the key is loaded again.
        const auditEvent = {
          ...newAuditEvent(actor, 'api_key.revoked', 'api_key', key.key_id),
          data: { name: key.name },
        };
        const change = merge(callerGuards, revokeApiKey(deps.db, key));
        if (!(await commitAudited(deps.db, orgOf(key.org_id), auditEvent, change))) return CONFLICT;
        deps.forgetCredential(key.hash);
        return { status: 204 };
      });
    },
  }),
];

/** @throws ApiError 404 */
async function visibleKey(deps: ApiDeps, principal: KeyPrincipal, keyId: string): Promise<ListedKey> {
  const [found = null] = await loadApiKeys(deps.db, principal.org_id, [keyId]);
  if (found === null || !maySeeKey(principal, found.key)) throw notFound();
  return found;
}

function maySeeKey(principal: KeyPrincipal, key: ApiKey): boolean {
  if (modeOf(principal.org_id) === 'test' && modeOf(key.org_id) === 'live') return false;
  return principal.pools.includes('*') || key.pools.every((id) => principal.pools.includes(id));
}
