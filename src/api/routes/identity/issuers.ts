// External issuers of access tokens that an org trusts, such as its identity provider, and the scopes that the claims of
// their tokens map to.

import Type from 'typebox';
import { timestamp } from '../../../state/text/time.ts';
import { checkCallbackUrl } from '../../../state/webhooks/callback-url.ts';
import {
  addIssuer,
  findIssuers,
  ISSUER_SHAPE,
  type Issuer,
  loadIssuer,
  mayClaimAudience,
  ownAudience,
  removeIssuer,
  TOKEN_TYPES,
} from '../../../store/identity/issuers.ts';
import { merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { checkPools, maySee, requireNonExpiring, requirePermissionsOf } from '../../access/grants.ts';
import { type KeyPrincipal, SCOPES } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion, versionedResponse } from '../../http/etag.ts';
import { ApiError, type FieldError, notFound, throwIfAny } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import {
  CreatedAt,
  closed,
  idOf,
  label,
  PageQuery,
  PoolList,
  Pools,
  pageOf,
  scopes,
  word,
} from '../../http/schemas.ts';
import { ALGORITHMS } from '../../oauth/issuers.ts';
import { liveScope, route, scope } from '../../route.ts';
import { listRecords } from './record-list.ts';

const Name = Type.String({ minLength: 1, maxLength: 200, description: 'Name for people' });
const ISSUER = 'The `iss` claim of its tokens';
const JWKS = 'https URL of its public keys (JWKS)';
const ALGORITHM = 'Signature algorithms that are accepted';
const TYPE = 'The `typ` header of its tokens';
const CLAIM = 'The claim that holds the scopes of a token';
const MAP = 'Which scopes each of its scopes gives here';
const ScopeMap = Type.Record(
  Type.String({ pattern: '^[^\\s]{1,200}$' }),
  Type.Array(word(SCOPES), { minItems: 1, uniqueItems: true }),
  {
    minProperties: 1,
    maxProperties: 100,
    additionalProperties: false,
    description: MAP,
    examples: [{ 'tasks.write': ['tasks:create'] }],
  },
);
const Algorithms = Type.Array(word(ALGORITHMS), {
  minItems: 1,
  uniqueItems: true,
  description: ALGORITHM,
});
const View = {
  issuer_id: idOf('issuer'),
  name: Name,
  issuer: label(ISSUER, 500),
  audience: label('The `aud` claim of its tokens'),
  jwks_uri: Type.String({ format: 'uri', description: JWKS }),
  algorithms: Type.Array(word(ALGORITHMS), { minItems: 1, description: ALGORITHM }),
  token_type: word(TOKEN_TYPES, { description: TYPE }),
  scope_claim: label(CLAIM),
  scope_map: Type.Record(Type.String(), scopes('The scopes here'), {
    description: MAP,
    minProperties: 1,
    maxProperties: 100,
    examples: [{ 'tasks.write': ['tasks:create'] }],
  }),
  pools: Pools,
  created_at: CreatedAt,
};
const IssuerView = Type.Object(View, {
  $id: 'Issuer',
  description: 'An outside issuer of access tokens that the org trusts',
});
const Params = Type.Object({ issuer_id: idOf('issuer') });

export const issuerRoutes = [
  route({
    method: 'POST',
    path: '/v1/issuers',
    access: liveScope('oauth:write'),
    tag: 'OAuth',
    adds: true,
    operationId: 'createIssuer',
    summary: 'Register an issuer of access tokens',
    description: 'The org then accepts JWT access tokens of this issuer, with the permissions given here.',
    body: closed({
      name: Name,
      issuer: Type.String({ minLength: 1, maxLength: 500, description: ISSUER }),
      audience: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 500,
          description:
            'Value of the `aud` claim of its tokens. Default: `urn:biolayer:org:<org_id>`. If the audience does not contain the org id, tokens must have the claim `biolayer_org`',
        }),
      ),
      jwks_uri: Type.String({ maxLength: 2048, description: JWKS }),
      algorithms: Type.Optional(Algorithms),
      token_type: Type.Optional(word(TOKEN_TYPES, { default: 'at+jwt', description: TYPE })),
      scope_claim: Type.Optional(
        Type.String({ minLength: 1, maxLength: 200, default: 'scope', description: CLAIM }),
      ),
      scope_map: ScopeMap,
      pools: Type.Optional(PoolList),
    }),
    admit: (body, principal) =>
      requireNonExpiring(principal, {
        scopes: Object.values(body.scope_map).flat(),
        pools: body.pools ?? [],
      }),
    responses: { 201: { description: 'The issuer', schema: IssuerView, headers: ['ETag', 'Location'] } },
    errors: ['already_exists'],
    async handler({ deps, principal, body, recordResponse, actor, credentialGuards }) {
      const now = deps.db.clock.now();
      const issuer: Issuer = {
        issuer_id: newId(now),
        org_id: principal.org_id,
        version: 1,
        name: body.name,
        issuer: body.issuer,
        audience: body.audience ?? ownAudience(principal.org_id),
        jwks_uri: body.jwks_uri,
        algorithms: body.algorithms ?? [...ALGORITHMS],
        token_type: body.token_type ?? 'at+jwt',
        scope_claim: body.scope_claim ?? 'scope',
        scope_map: body.scope_map,
        pools: body.pools ?? [...principal.pools],
        created_at: now,
        updated_at: now,
      };
      const { errors } = await checkPools(deps.db, principal.org_id, body.pools);
      const faults: FieldError[] = [...errors];
      const wrong = checkCallbackUrl(body.jwks_uri, deps.addressPolicy);
      if (wrong !== null) faults.push({ pointer: '/jwks_uri', message: wrong });
      if (!mayClaimAudience(principal.org_id, issuer.audience))
        faults.push({ pointer: '/audience', message: 'is not an audience of this org' });
      throwIfAny(faults);
      const response = issuerResponse(issuer, 201);
      return updateWithRetry('issuer', async () => {
        const callerGuards = await credentialGuards();
        const poolGuards = await checkPools(deps.db, issuer.org_id, body.pools);
        throwIfAny(poolGuards.errors);
        if ((await findIssuers(deps.db, issuer.org_id, issuer.issuer, [issuer.audience])).length > 0)
          throw new ApiError('already_exists', 'The org has already registered this issuer and audience.');
        const room = await deps.usage.quotaGuards(issuer.org_id, 'issuers');
        const more = merge(callerGuards, poolGuards, room, recordResponse(response));
        if (await addIssuer(deps.db, issuer, actor, more)) return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/issuers',
    access: scope('oauth:read'),
    tag: 'OAuth',
    operationId: 'listIssuers',
    summary: 'List issuers of access tokens',
    description: 'Lists the external issuers that the org trusts.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of issuers', schema: pageOf(IssuerView) } },
    handler: ({ deps, principal, query }) =>
      listRecords<Issuer>(deps, principal, query, {
        index: 'issuers',
        keyOf: (keys, id) => keys.issuer(id),
        shape: ISSUER_SHAPE,
        view: issuerView,
      }),
  }),
  route({
    method: 'GET',
    path: '/v1/issuers/{issuer_id}',
    access: scope('oauth:read'),
    tag: 'OAuth',
    operationId: 'getIssuer',
    summary: 'Retrieve an issuer of access tokens',
    description: 'Shows an external issuer that the org trusts.',
    params: Params,
    responses: { 200: { description: 'The issuer', schema: IssuerView, headers: ['ETag'] } },
    handler: async ({ deps, principal, params }) =>
      issuerResponse(await visibleIssuer(deps, principal, params.issuer_id)),
  }),
  route({
    method: 'DELETE',
    path: '/v1/issuers/{issuer_id}',
    access: liveScope('oauth:write'),
    versioned: true,
    tag: 'OAuth',
    operationId: 'deleteIssuer',
    summary: 'Remove an issuer of access tokens',
    description: 'Its tokens are rejected at once.',
    params: Params,
    responses: { 204: { description: 'Removed' } },
    async handler({ deps, principal, params, ifMatch, actor, credentialGuards }) {
      return updateWithRetry('issuer', async () => {
        const callerGuards = await credentialGuards();
        const before = await visibleIssuer(deps, principal, params.issuer_id);
        requireVersion(before.version, ifMatch);
        requirePermissionsOf(principal, { scopes: Object.values(before.scope_map).flat() });
        if (!(await removeIssuer(deps.db, before, actor, callerGuards))) return CONFLICT;
        deps.forgetCredential(before.issuer_id);
        return { status: 204 };
      });
    },
  }),
];

async function visibleIssuer(deps: ApiDeps, principal: KeyPrincipal, id: string): Promise<Issuer> {
  const issuer = await loadIssuer(deps.db, principal.org_id, id);
  if (issuer === null || !maySee(principal, issuer)) throw notFound();
  return issuer;
}

function issuerView({
  org_id: _org,
  version: _version,
  updated_at: _at,
  created_at,
  ...shown
}: Issuer): object {
  return { ...shown, created_at: timestamp(created_at) };
}

function issuerResponse(issuer: Issuer, status = 200): HttpResponse {
  return versionedResponse(issuer, issuerView(issuer), `/v1/issuers/${issuer.issuer_id}`, status);
}
