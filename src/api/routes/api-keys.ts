// API keys: made by a key that has at least what it gives, shown once, revoked at once.

import Type from 'typebox';
import { did } from '../../state/audit.ts';
import { timestamp } from '../../state/view.ts';
import { commitAudited } from '../../store/audit.ts';
import { type ApiKey, apiKeyWrites, newCredential, revokeApiKey } from '../../store/credentials.ts';
import { newId } from '../../store/ids.ts';
import { orgKeysOf } from '../../store/keys.ts';
import { memberId, page } from '../../store/lists.ts';
import { loadPools } from '../../store/pools.ts';
import { loadRecord, loadRecords } from '../../store/records.ts';
import { listAnswer as answerList, DEFAULT_LIMIT, listScope, readCursor } from '../list.ts';
import { ApiError, type FieldError, invalid, notFound } from '../problem.ts';
import { type ApiDeps, type KeyPrincipal, route, SCOPES, scope } from '../route.ts';
import { closed, listAnswer, nullable, PageQuery, Timestamp, Uuid, word } from '../schemas.ts';

const Scopes = Type.Array(word(['*', ...SCOPES]), { minItems: 1, uniqueItems: true });
const KeyView = Type.Object(
  {
    key_id: Uuid,
    name: Type.String(),
    hint: Type.String({ description: 'How the key begins' }),
    scopes: Type.Array(Type.String()),
    pools: Type.Array(Type.String()),
    created_at: Timestamp,
    expires_at: nullable(Timestamp),
  },
  { $id: 'ApiKey' },
);
const KeyCreated = Type.Object({
  ...KeyView.properties,
  key: Type.String({ description: 'Shown this once' }),
});

const KeyCreate = closed({
  name: Type.String({ minLength: 1, maxLength: 200 }),
  scopes: Scopes,
  pools: Type.Optional(
    Type.Array(Type.String({ pattern: '^(\\*|[A-Za-z0-9_-]{1,64})$' }), {
      minItems: 1,
      maxItems: 100,
      uniqueItems: true,
    }),
  ),
  expires_at: Type.Optional(Timestamp),
});
type KeyCreate = Type.Static<typeof KeyCreate>;

export const apiKeyRoutes = [
  route({
    method: 'POST',
    path: '/v1/api-keys',
    access: scope('keys:write'),
    tag: 'API keys',
    summary: 'Create an API key',
    body: KeyCreate,
    admit: requireGrantable,
    answers: { 201: { description: 'The key', schema: KeyCreated } },
    async handler({ deps, principal, actor, body, keep }) {
      const errors = await grantErrors(deps, principal, body);
      if (errors.length > 0) throw invalid(...errors);
      const now = deps.db.clock.now();
      const pools = body.pools ?? [...principal.pools];
      const expires_at = body.expires_at === undefined ? null : Date.parse(body.expires_at);
      const made = newApiKey(
        principal.org_id,
        { name: body.name, scopes: body.scopes, pools, expires_at },
        now,
      );
      const answer = {
        status: 201,
        body: { ...keyView(made.key), key: made.text },
        headers: { Location: `/v1/api-keys/${made.key.key_id}` },
      };
      const { guards, writes } = apiKeyWrites(deps.db, made.key);
      const kept = keep(answer);
      const { key_id, name, scopes } = made.key;
      const fact = {
        ...did(actor, 'api_key.created', 'api_key', key_id),
        data: { name, scopes, pools, expires_at: body.expires_at ?? null },
      };
      const change = { guards: [...guards, ...kept.guards], writes: [...writes, ...kept.writes] };
      if (!(await commitAudited(deps.db, principal.org_id, fact, change)))
        throw new ApiError('conflict', 'The request was taken over by another.');
      return answer;
    },
  }),
  route({
    method: 'GET',
    path: '/v1/api-keys',
    access: scope('keys:read'),
    tag: 'API keys',
    summary: 'List API keys',
    query: closed(PageQuery),
    answers: { 200: { description: 'A page of keys', schema: listAnswer(KeyView) } },
    async handler({ deps: { db }, principal, query }) {
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc' } = query;
      const bound = listScope('api_keys', principal.org_id, principal.pools, order);
      const range = { order, after: readCursor(bound, cursor), from: null, to: null };
      const keys = orgKeysOf(db.prefix, principal.org_id);
      const { items, next } = await page(db, [keys.index('api_keys')], range, limit, async (members) =>
        (
          await loadRecords<ApiKey>(
            db,
            members.map((member) => keys.apiKey(memberId(member))),
          )
        ).map((key) => (key !== null && maySeeKey(principal, key) ? keyView(key) : null)),
      );
      return answerList(items, bound, next);
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/api-keys/{key_id}',
    access: scope('keys:write'),
    tag: 'API keys',
    summary: 'Revoke an API key',
    params: Type.Object({ key_id: Uuid }),
    answers: { 204: { description: 'Revoked' } },
    async handler({ deps, principal, actor, params }) {
      const key = await loadRecord<ApiKey>(
        deps.db,
        orgKeysOf(deps.db.prefix, principal.org_id).apiKey(params.key_id),
      );
      if (key === null || !maySeeKey(principal, key)) throw notFound();
      const fact = { ...did(actor, 'api_key.revoked', 'api_key', key.key_id), data: { name: key.name } };
      await commitAudited(deps.db, principal.org_id, fact, revokeApiKey(deps.db, key));
      deps.forgetCredential(key.hash);
      return { status: 204 };
    },
  }),
];

/** A new API key of the org, and its text. */
export function newApiKey(
  orgId: string,
  given: Pick<ApiKey, 'name' | 'scopes' | 'pools' | 'expires_at'>,
  now: number,
): { key: ApiKey; text: string } {
  const { text, hash } = newCredential('blk_live_', orgId);
  return {
    text,
    key: {
      kind: 'api_key',
      key_id: newId(now),
      org_id: orgId,
      version: 1,
      ...given,
      hash,
      hint: text.slice(0, 13),
      created_at: now,
    },
  };
}

/** A key cannot grant what it lacks. @throws ApiError 403 */
function requireGrantable({ scopes, pools = [] }: KeyCreate, principal: KeyPrincipal): void {
  const missing = scopes.filter((one) => !principal.scopes.includes('*') && !principal.scopes.includes(one));
  if (missing.length > 0)
    throw new ApiError('insufficient_scope', `The key cannot grant what it lacks: ${missing.join(', ')}.`);
  const foreign = pools.filter((one) => !principal.pools.includes('*') && !principal.pools.includes(one));
  if (foreign.length > 0)
    throw new ApiError('pool_forbidden', `The key cannot grant pools it lacks: ${foreign.join(', ')}.`);
}

async function grantErrors(
  deps: ApiDeps,
  principal: KeyPrincipal,
  { pools = [], expires_at }: KeyCreate,
): Promise<FieldError[]> {
  const known = await loadPools(deps.db, principal.org_id, pools);
  const errors = pools.flatMap((id, index) =>
    id !== '*' && known[index] === null
      ? [{ pointer: `/pools/${index}`, message: 'is not a pool of this org' }]
      : [],
  );
  if (expires_at !== undefined && !(Date.parse(expires_at) > deps.db.clock.now()))
    errors.push({ pointer: '/expires_at', message: 'must be in the future' });
  return errors;
}

function maySeeKey(principal: KeyPrincipal, key: ApiKey): boolean {
  return principal.pools.includes('*') || key.pools.every((id) => principal.pools.includes(id));
}

function keyView(key: ApiKey): object {
  const { key_id, name, hint, scopes, pools } = key;
  return {
    key_id,
    name,
    hint,
    scopes,
    pools,
    created_at: timestamp(key.created_at),
    expires_at: key.expires_at === null ? null : timestamp(key.expires_at),
  };
}
