// What a credential permits to work in the background, by its ids: as much as a request with it, at every moment.
import { describe, expect, it } from 'vitest';
import type { Authority } from '../../../src/state/access/authority.ts';
import {
  apiKeyWrites,
  newApiKey,
  replacedKeyWrites,
  revokeApiKey,
} from '../../../src/store/identity/api-keys.ts';
import { type Permitted, permittedBy } from '../../../src/store/identity/authority.ts';
import { addIssuer, type Issuer, removeIssuer } from '../../../src/store/identity/issuers.ts';
import { type Member, memberWrites } from '../../../src/store/identity/members.ts';
import {
  newClientId,
  type OAuthClient,
  oauthClientWrites,
} from '../../../src/store/identity/oauth-clients.ts';
import { type Change, commit, EMPTY_CHANGE } from '../../../src/store/redis/commit.ts';
import { newId } from '../../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { withClockAhead } from '../../support/processors.ts';

const db = await openTestDb();
const HOUR = 3600_000;
const REVOKED = { lost: 'credential_revoked' };
const EXPIRED = { lost: 'credential_expired' };

async function written(change: Change): Promise<void> {
  expect(await commit(db.redis, change)).toBe(true);
}

/** Whether a commit with the guards goes through. */
function holds(permitted: Permitted): Promise<boolean> {
  if ('lost' in permitted) throw new Error(permitted.lost);
  return commit(db.redis, { guards: permitted.guards, writes: [] });
}

describe('an API key', () => {
  it('permits what it may until it is revoked or expires', async () => {
    const org = freshOrg(db);
    const given = { name: 'x', scopes: ['tasks:cancel'], pools: ['night'], expires_at: null };
    const { key } = newApiKey(org, given, db.clock.now());
    const authority: Authority = { kind: 'api_key', key_id: key.key_id };
    expect(await permittedBy(db, org, authority)).toEqual(REVOKED);
    await written(apiKeyWrites(db, key));
    const permitted = await permittedBy(db, org, authority);
    expect(permitted).toMatchObject({ permission: { scopes: ['tasks:cancel'], pools: ['night'] } });
    expect(await holds(permitted)).toBe(true);
    const by = { key_id: newId(db.clock.now()), expiresAt: db.clock.now() + HOUR };
    await written(replacedKeyWrites(db, key, by));
    expect(await holds(permitted)).toBe(false);
    expect(await holds(await permittedBy(db, org, authority))).toBe(true);
    expect(await permittedBy(withClockAhead(db, HOUR + 1), org, authority)).toEqual(EXPIRED);
    await written(revokeApiKey(db, { ...key, version: 2 }));
    expect(await permittedBy(db, org, authority)).toEqual(REVOKED);
  });
});

describe('an access token', () => {
  async function setUp() {
    const org_id = freshOrg(db);
    const now = db.clock.now();
    const stamps = { created_at: now, updated_at: now };
    const client: OAuthClient = {
      ...{
        client_id: newClientId(org_id),
        org_id,
        version: 1,
        name: 'x',
        redirect_uris: [],
        secret_hash: null,
      },
      ...{ grant_types: ['client_credentials'], scopes: ['*'], pools: ['day', 'night'], ...stamps },
    };
    const member: Member = {
      ...{ member_id: newId(now), org_id, version: 1, email: 'x@example.com', name: 'x', password_hash: '' },
      ...{ scopes: ['tasks:cancel', 'tasks:read'], pools: ['night', 'dawn'], disabled: false, ...stamps },
    };
    await written(oauthClientWrites(db, null, client));
    await written(memberWrites(db, null, member));
    const keys = orgKeysOf(db.prefix, org_id);
    const [hash, grant] = ['a'.repeat(64), 'b'.repeat(64)];
    await db.redis.set(keys.credential(hash), '{}');
    await db.redis.hset(keys.oauth(`Grant:${grant}`), 'v', 1, 'p', '1');
    const expires_at = now + HOUR;
    const base = {
      kind: 'oauth_token',
      hash,
      expires_at,
      scopes: ['tasks:cancel'],
      client_id: client.client_id,
    } as const;
    const own: Authority = { ...base, member_id: null, grant: null };
    const delegated: Authority = { ...base, member_id: member.member_id, grant };
    return { org_id, client, member, keys, hash, grant, own, delegated };
  }

  it('permits what it, its client and its member have in common', async () => {
    const { org_id, client, member, own, delegated } = await setUp();
    expect(await permittedBy(db, org_id, own)).toMatchObject({
      permission: { scopes: ['tasks:cancel'], pools: ['day', 'night'] },
    });
    const permitted = await permittedBy(db, org_id, delegated);
    expect(permitted).toMatchObject({ permission: { scopes: ['tasks:cancel'], pools: ['night'] } });
    expect(await holds(permitted)).toBe(true);
    await written(memberWrites(db, member, { ...member, version: 2, pools: ['dawn'] }));
    expect(await holds(permitted)).toBe(false);
    expect(await permittedBy(db, org_id, delegated)).toMatchObject({ permission: { pools: [] } });
    await written(memberWrites(db, { ...member, version: 2 }, { ...member, version: 3, disabled: true }));
    expect(await permittedBy(db, org_id, delegated)).toEqual(REVOKED);
    await written(oauthClientWrites(db, client, null));
    expect(await permittedBy(db, org_id, own)).toEqual(REVOKED);
  });

  it('must exist until it expires; after that its client and grant count', async () => {
    const { org_id, keys, hash, grant, own, delegated } = await setUp();
    const permitted = await permittedBy(db, org_id, own);
    await db.redis.del(keys.credential(hash));
    expect(await holds(permitted)).toBe(false);
    expect(await permittedBy(db, org_id, own)).toEqual(REVOKED);
    const later = withClockAhead(db, HOUR + 1);
    expect(await holds(await permittedBy(later, org_id, own))).toBe(true);
    const byGrant = await permittedBy(later, org_id, delegated);
    expect(await holds(byGrant)).toBe(true);
    await db.redis.del(keys.oauth(`Grant:${grant}`));
    expect(await holds(byGrant)).toBe(false);
    expect(await permittedBy(later, org_id, delegated)).toEqual(REVOKED);
  });
});

describe('a token of an outside issuer', () => {
  it('permits what its registration does, until it expires or the registration is removed', async () => {
    const org_id = freshOrg(db);
    const now = db.clock.now();
    const issuer: Issuer = {
      ...{
        issuer_id: newId(now),
        org_id,
        version: 1,
        name: 'x',
        issuer: 'https://id.example.com/',
        audience: 'x',
      },
      ...{
        jwks_uri: 'https://id.example.com/jwks',
        algorithms: ['ES256'],
        token_type: 'JWT',
        scope_claim: 'scope',
      },
      ...{ scope_map: {}, pools: ['night'], created_at: now, updated_at: now },
    };
    expect(await addIssuer(db, issuer, 'system', EMPTY_CHANGE)).toBe(true);
    const { issuer_id } = issuer;
    const scopes = ['tasks:review'];
    const authority: Authority = {
      kind: 'issuer_token',
      issuer_id,
      version: 1,
      expires_at: now + HOUR,
      scopes,
    };
    const permitted = await permittedBy(db, org_id, authority);
    expect(permitted).toMatchObject({ permission: { scopes, pools: ['night'] } });
    expect(await holds(permitted)).toBe(true);
    expect(await permittedBy(withClockAhead(db, HOUR + 1), org_id, authority)).toEqual(EXPIRED);
    expect(await removeIssuer(db, issuer, 'system', EMPTY_CHANGE)).toBe(true);
    expect(await holds(permitted)).toBe(false);
    expect(await permittedBy(db, org_id, authority)).toEqual(REVOKED);
  });
});
