// The cache of credentials: no longer than a second from before the look-up, independent of the machine's clock, and never
// an entry that was revoked during its look-up.
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import Koa, { type Context } from 'koa';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Admission } from '../../../src/api/access/admission.ts';
import { Authenticator } from '../../../src/api/access/authenticate.ts';
import { ClientAddresses } from '../../../src/api/access/client-address.ts';
import { OrgRulesCache } from '../../../src/api/access/org-rules.ts';
import { SessionCookies } from '../../../src/api/access/session-cookies.ts';
import { Issuers } from '../../../src/api/oauth/issuers.ts';
import { JwksCache } from '../../../src/api/oauth/jwks.ts';
import { scope } from '../../../src/api/route.ts';
import { DEFAULT_STORAGE_QUOTAS } from '../../../src/state/access/storage-quotas.ts';
import { createAddressPolicy } from '../../../src/state/webhooks/callback-url.ts';
import { type ApiKey, apiKeyWrites, newApiKey, revokeApiKey } from '../../../src/store/identity/api-keys.ts';
import { orgWrites } from '../../../src/store/identity/orgs.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { deferred } from '../../support/deferred.ts';

const db = await openTestDb();
/** Number of look-ups so far, and what each waits for after the response of Redis. */
const lookUps = { made: 0, held: Promise.resolve() };
const redis = new Proxy(db.redis, {
  get(target, name) {
    if (name === 'get')
      return async (key: string) => {
        lookUps.made += 1;
        const found = await target.get(key);
        await lookUps.held;
        return found;
      };
    const value: unknown = Reflect.get(target, name);
    return typeof value === 'function' ? value.bind(target) : value;
  },
});

let authenticator: Authenticator;
let key: ApiKey;
let text: string;

beforeAll(() => {
  const quotas = { key: null, org: null, address: null };
  const watched = { ...db, redis };
  const addresses = new ClientAddresses([]);
  const admission = new Admission(watched, addresses, quotas, DEFAULT_STORAGE_QUOTAS);
  const cookies = new SessionCookies(undefined, addresses);
  const issuers = new Issuers(watched, new JwksCache(createAddressPolicy([])));
  authenticator = new Authenticator(watched, undefined, admission, issuers, cookies, () => []);
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function makeKey(): Promise<void> {
  const given = { name: 'k', scopes: ['*'], pools: ['*'], expires_at: null };
  ({ key, text } = newApiKey(freshOrg(db), given, db.clock.now()));
  await commit(db.redis, apiKeyWrites(db, key));
}

async function revoke(): Promise<void> {
  expect(await commit(db.redis, revokeApiKey(db, key))).toBe(true);
}

function request(): Context {
  const incoming = new IncomingMessage(new Socket());
  incoming.headers.authorization = `Bearer ${text}`;
  return new Koa().createContext(incoming, new ServerResponse(incoming));
}

/** Whether the key is admitted. */
function tryKey(): Promise<boolean> {
  return authenticator.admit(request(), scope('tasks:read')).then(
    () => true,
    () => false,
  );
}

test('a key is looked up once a second', async () => {
  await makeKey();
  const before = lookUps.made;
  expect([await tryKey(), await tryKey(), await tryKey()]).toEqual([true, true, true]);
  expect(lookUps.made).toBe(before + 1);
});

test('a look-up that races with a revocation is not cached', async () => {
  await makeKey();
  const before = lookUps.made;
  const { open: release, opened: after } = deferred();
  lookUps.held = after;
  const inFlight = tryKey();
  await expect.poll(() => lookUps.made).toBe(before + 1);
  // The look-up was sent first, so Redis has answered it before it answers this.
  await revoke();
  authenticator.dropCached(key.hash);
  release();
  await inFlight;
  expect(await tryKey()).toBe(false);
});

test('a key revoked by another process is refused within a second, although the machine’s clock went back', async () => {
  await makeKey();
  expect(await tryKey()).toBe(true);
  await revoke();
  const [now, at] = [Date.now(), performance.now()];
  vi.spyOn(Date, 'now').mockReturnValue(now - 3600_000);
  const clock = vi.spyOn(performance, 'now').mockReturnValue(at + 900);
  expect(await tryKey()).toBe(true);
  clock.mockReturnValue(at + 1001);
  expect(await tryKey()).toBe(false);
});

test('the rules of an org are at most a second old, whatever the machine’s clock does', async () => {
  const given = { org_id: freshOrg(db), name: 'o', webhook_secrets: [], created_at: 0, updated_at: 0 };
  const put = async (before: number, ip_allowlist: string[]) => {
    expect(
      await commit(db.redis, orgWrites(db, before, { ...given, version: before + 1, ip_allowlist })),
    ).toBe(true);
  };
  await put(0, []);
  const rules = new OrgRulesCache(db, { quotas: { key: null, org: null }, storage: DEFAULT_STORAGE_QUOTAS });
  expect((await rules.get(given.org_id)).networks).toBeNull();
  await put(1, ['192.0.2.0/24']);
  const [now, at] = [Date.now(), performance.now()];
  vi.spyOn(Date, 'now').mockReturnValue(now - 3600_000);
  const clock = vi.spyOn(performance, 'now').mockReturnValue(at + 900);
  expect((await rules.get(given.org_id)).networks).toBeNull();
  clock.mockReturnValue(at + 1001);
  expect((await rules.get(given.org_id)).networks).toHaveLength(1);
});
