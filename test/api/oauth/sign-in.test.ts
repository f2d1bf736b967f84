// Sign-in and sign-out with the real pages: where state is stored before sign-in, what ends with a password change or a
// session, and the limits of attempts.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addressGroup } from '../../../src/api/access/client-address.ts';
import { emailHash } from '../../../src/store/identity/members.ts';
import { countAttempt, delayAttempt, forgetAttempts } from '../../../src/store/identity/sign-in-attempts.ts';
import { partitionKeys, partitionOf } from '../../../src/store/redis/keys.ts';
import { createOrg, freshName, type Org, startApi, type TestApi } from '../../support/api.ts';
import { Browser } from '../../support/browser.ts';
import { listen } from '../../support/events.ts';

const REDIRECT = 'http://127.0.0.1:9/callback';
const SIGNED_OUT = 'http://127.0.0.1:9/signed-out';
const PASSWORD = 'correct horse battery';

let api: TestApi;
let org: Org;
let app: string;

beforeAll(async () => {
  api = await startApi({ web: { publicUrl: 'own', trustedProxies: ['127.0.0.1/32'] } });
  org = await createOrg(api);
  const made = await org.client.post<{ client_id: string }>('/v1/oauth-clients', {
    name: 'App',
    public: true,
    grant_types: ['authorization_code'],
    redirect_uris: [REDIRECT],
    post_logout_redirect_uris: [SIGNED_OUT],
    scopes: ['tasks:read', 'events:read'],
  });
  app = made.client_id;
});
afterAll(() => api.close());

async function makeMember() {
  const email = `${freshName('person')}@example.com`;
  const body = { email, name: 'Ada', password: PASSWORD, scopes: ['*'] };
  const { member_id } = await org.client.post<{ member_id: string }>('/v1/members', body);
  return { email, path: `/v1/members/${member_id}` };
}

function request(parameters: Record<string, string> = {}) {
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL(`${api.url}/oauth/authorize`);
  url.search = new URLSearchParams({
    client_id: app,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'tasks:read events:read',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...parameters,
  }).toString();
  return { url: url.href, verifier };
}

async function token(fields: Record<string, string>) {
  const body = new URLSearchParams({ client_id: app, redirect_uri: REDIRECT, ...fields });
  const answer = await fetch(`${api.url}/oauth/token`, { method: 'POST', body });
  return (await answer.json()) as { access_token: string; refresh_token: string; error?: string };
}

async function signIn(email: string, browser = new Browser(api.url)) {
  const { url, verifier } = request();
  const back = await browser.through(url, email, PASSWORD);
  const code = back.searchParams.get('code') ?? '';
  return {
    browser,
    tokens: await token({ grant_type: 'authorization_code', code, code_verifier: verifier }),
  };
}

async function keysNow(): Promise<string[]> {
  return (await api.redis.keys(`${api.prefix}:*`)).sort();
}

test('a member signs in for the MCP endpoint as the resource, and refreshes the token', async () => {
  const { email } = await makeMember();
  const resource = `${api.url}/mcp`;
  const { url, verifier } = request({ resource });
  const back = await new Browser(api.url).through(url, email, PASSWORD);
  const code = back.searchParams.get('code') ?? '';
  const first = await token({ grant_type: 'authorization_code', code, code_verifier: verifier, resource });
  const message = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
  const statusWith = async (credential: string) => {
    const { status } = await fetch(resource, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${credential}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify(message),
    });
    return status;
  };
  expect(await statusWith(first.access_token)).toBe(200);
  const next = await token({ grant_type: 'refresh_token', refresh_token: first.refresh_token, resource });
  expect(await statusWith(next.access_token)).toBe(200);
  const elsewhere = request({ resource: `${api.url}/elsewhere` });
  const refused = await new Browser(api.url).through(elsewhere.url, email, PASSWORD);
  expect(refused.searchParams.get('error')).toBe('invalid_target');
});

describe('before a member signs in', () => {
  test('Redis stores nothing, whatever the request and its cookies', async () => {
    const { email } = await makeMember();
    const { browser: former } = await signIn(email);
    await former.open('/oauth/end-session');
    await former.submit({ action: 'sign_out' });
    const before = await keysNow();
    const sizes: number[] = [];
    for (const browser of [new Browser(api.url), former])
      for (const parameters of [{}, { prompt: 'login' }, { state: 'x'.repeat(1500) }]) {
        const page = await browser.open(request(parameters).url);
        expect(page.text).toContain('<h1>Sign in</h1>');
        sizes.push(...browser.cookies.map((one) => one.length));
        await browser.open(browser.at);
        await browser.open('/oauth/end-session?state=x');
      }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4096);
    expect(await keysNow()).toEqual(before);
  });

  test('a wrong password stores only counts', async () => {
    const browser = new Browser(api.url);
    await browser.open(request().url);
    const before = await keysNow();
    const fields = { email: 'nobody@example.com', password: 'x', action: 'sign_in' };
    expect((await browser.submit(fields)).status).toBe(401);
    const more = (await keysNow()).filter((key) => !before.includes(key));
    expect(new Set(more.map((key) => key.split(':')[2]))).toEqual(new Set(['sign-in-attempts']));
    for (const key of more) expect(await api.redis.pttl(key)).toBeGreaterThan(0);
    expect(await api.redis.keys('*nobody@example.com*')).toEqual([]);
  });

  test('a request that is too long for a cookie is invalid_request', async () => {
    const state = randomBytes(4000).toString('base64url');
    const answer = await fetch(request({ state }).url, { redirect: 'manual' });
    const location = new URL(answer.headers.get('location') ?? 'none:');
    expect([location.origin + location.pathname, location.searchParams.get('error')]).toEqual([
      REDIRECT,
      'invalid_request',
    ]);
  });

  test('an altered cookie, or one of another request, is ignored', async () => {
    const { email } = await makeMember();
    const [one, other] = [new Browser(api.url), new Browser(api.url)];
    await one.open(request().url);
    await other.open(request().url);
    other.at = one.at;
    other.token = one.token;
    const fields = { email, password: PASSWORD, action: 'sign_in' };
    expect((await other.submit(fields)).status).toBe(400);
    const cookie = one.cookies.map((pair) => pair.replace(/^(bl_asked=.*)[\w-](.{20})$/, '$1~$2'));
    const page = await fetch(one.at, { headers: { Cookie: cookie.join('; '), Accept: 'text/html' } });
    expect(page.status).toBe(400);
    expect((await one.submit(fields)).status).toBe(303);
  });

  test('an answer is used once, although the browser keeps the cookie', async () => {
    const { email } = await makeMember();
    const browser = new Browser(api.url);
    await browser.open(request().url);
    const { headers } = await browser.submit({ email, password: PASSWORD, action: 'sign_in' });
    const next = headers.get('location') ?? '';
    const kept = browser.copy();
    expect((await browser.open(next)).text).toContain('to act for you?');
    const again = await kept.open(next);
    expect([again.status, again.text.includes('This did not work')]).toEqual([400, true]);
  });
});

describe('a new password', () => {
  const change = (path: string) => org.client.patch(path, { password: 'another long password' });
  const outcome = async (credential: string) =>
    (await api.client(credential).request('GET', '/v1/tasks')).outcome;

  test('ends the sessions, grants and tokens of the member at once, open streams too', async () => {
    const [{ email, path }, other] = [await makeMember(), await makeMember()];
    const { browser, tokens } = await signIn(email);
    const bystander = await signIn(other.email);
    const stream = await listen(api.client(tokens.access_token), '/v1/events/stream');
    expect(await outcome(tokens.access_token)).toBe('200');
    await change(path);
    expect(await outcome(tokens.access_token)).toBe('401 invalid_credential');
    const began = performance.now();
    await stream.all();
    expect(performance.now() - began).toBeLessThan(500);
    const refreshed = await token({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token });
    expect(refreshed.error).toBe('invalid_grant');
    expect((await browser.open(request().url)).text).toContain('<h1>Sign in</h1>');
    expect(await outcome(bystander.tokens.access_token)).toBe('200');
    // Other changes of the member end nothing.
    await org.client.patch(other.path, { name: 'Eda' });
    expect(await outcome(bystander.tokens.access_token)).toBe('200');
    expect(
      (await token({ grant_type: 'refresh_token', refresh_token: bystander.tokens.refresh_token })).error,
    ).toBeUndefined();
  });

  test.each(['signed in', 'about to allow', 'back with a code'])(
    'ends a sign-in that has reached: %s',
    async (step) => {
      const { email, path } = await makeMember();
      const browser = new Browser(api.url);
      const { url, verifier } = request();
      await browser.open(url);
      const { headers } = await browser.submit({ email, password: PASSWORD, action: 'sign_in' });
      const next = headers.get('location') ?? '';
      if (step === 'signed in') {
        await change(path);
        expect((await browser.open(next)).text).not.toContain('to act for you?');
      } else if (step === 'about to allow') {
        await browser.open(next);
        await change(path);
        expect((await browser.submit({ action: 'allow' })).status).toBe(400);
      } else {
        const back = await browser.through(next, email, PASSWORD);
        await change(path);
        const code = back.searchParams.get('code') ?? '';
        const redeemed = await token({ grant_type: 'authorization_code', code, code_verifier: verifier });
        expect(redeemed.error).toBe('invalid_grant');
      }
    },
  );
});

describe('signing out', () => {
  test('is in the metadata, asks for confirmation, and ends the session of this browser at once', async () => {
    const metadata = await (await fetch(`${api.url}/.well-known/openid-configuration`)).json();
    expect(metadata).toMatchObject({ end_session_endpoint: `${api.url}/oauth/end-session` });
    const { email } = await makeMember();
    const [{ browser, tokens }, elsewhere] = [await signIn(email), await signIn(email)];
    const stolen = browser.copy();
    const page = await browser.open('/oauth/end-session');
    expect(page.text).toContain('<h1>Sign out?</h1>');
    expect((await browser.submit({ action: 'sign_out', token: 'forged' })).status).toBe(403);
    expect((await browser.submit({ action: 'sign_out' }, { Origin: 'https://evil.example' })).status).toBe(
      403,
    );
    const done = await browser.submit({ action: 'sign_out' });
    expect([done.status, done.text.includes('You are signed out')]).toEqual([200, true]);
    for (const one of [browser, stolen])
      expect((await one.open(request().url)).text).toContain('<h1>Sign in</h1>');
    expect((await elsewhere.browser.open(request({ prompt: 'consent' }).url)).text).toContain(
      'to act for you?',
    );
    // Consent given to an application remains.
    expect((await api.client(tokens.access_token).request('GET', '/v1/tasks')).status).toBe(200);
  });

  test('redirects only to a registered URI of the client', async () => {
    const { email } = await makeMember();
    const { browser } = await signIn(email);
    const path = (uri: string) =>
      `/oauth/end-session?${new URLSearchParams({ client_id: app, post_logout_redirect_uri: uri, state: 'a b' })}`;
    for (const uri of ['https://evil.example/', `${SIGNED_OUT}/x`, REDIRECT])
      expect((await browser.open(path(uri))).status).toBe(400);
    expect((await browser.open(path(SIGNED_OUT))).text).toContain('<h1>Sign out?</h1>');
    const fields = { client_id: app, post_logout_redirect_uri: SIGNED_OUT, state: 'a b', action: 'sign_out' };
    const done = await browser.submit(fields);
    expect([done.status, done.headers.get('location')]).toEqual([303, `${SIGNED_OUT}?state=a+b`]);
  });
});

describe('sign-in attempts', () => {
  const at = (address: string) => ({ 'X-Forwarded-For': address });
  const from = (address: string, browser?: Browser) =>
    browser?.copy(at(address)) ?? new Browser(api.url, 'allow', at(address));
  async function attempt(browser: Browser, email: string, password: string) {
    await browser.open(request({ prompt: 'login' }).url);
    return browser.submit({ email, password, action: 'sign_in' });
  }

  test('are delayed more and more for their network, without locking the account for others', async () => {
    const { email } = await makeMember();
    const home = (await signIn(email, from('192.0.2.7'))).browser;
    const guesses = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        // One host's addresses, and one spelling of the account after the other.
        attempt(from(`2001:db8:0:1::${index + 1}`), index % 2 ? email.toUpperCase() : email, 'a wrong guess'),
      ),
    );
    expect(guesses.map(({ status }) => status).sort()).toEqual([401, 401, 401, 429, 429, 429, 429, 429]);
    // As after some more guesses, so that it does not matter how long this test takes.
    const who = `network ${addressGroup('2001:db8:0:1::1')} ${org.org_id} ${emailHash(email)}`;
    expect(await api.redis.hset(attemptsKey(who), 't', Date.now() + 60_000)).toBe(0);
    const refused = await attempt(from('2001:db8:0:1::99'), email, PASSWORD);
    const wait = Number(refused.headers.get('retry-after'));
    expect([refused.status, wait > 30 && wait <= 60]).toEqual([429, true]);
    // From the next network, and in a browser that is known from the very network of the guesses.
    expect((await attempt(from('2001:db8:0:2::1'), email, PASSWORD)).status).toBe(303);
    expect((await attempt(from('2001:db8:0:1::99', home), email, PASSWORD)).status).toBe(303);
    // A browser remembered for one member counts as unknown for another.
    const { email: other } = await makeMember();
    const network = '198.51.100.1';
    await delayAttempt(api.web.db, `network ${network} ${org.org_id} ${emailHash(other)}`);
    await api.redis.hset(
      attemptsKey(`network ${network} ${org.org_id} ${emailHash(other)}`),
      't',
      Date.now() + 60_000,
    );
    expect((await attempt(from(network, home), other, PASSWORD)).status).toBe(429);
  });

  test('are limited to fifty failed ones from one network for all accounts', async () => {
    const { email } = await makeMember();
    const network = '203.0.113.9';
    const db = api.web.db;
    for (let tries = 0; tries < 49; tries += 1) await countAttempt(db, network, 50);
    expect((await attempt(from(network), email, PASSWORD)).status).toBe(303);
    expect((await attempt(from(network), email, 'a wrong guess')).status).toBe(401);
    expect((await attempt(from(network), 'nobody@example.com', 'a wrong guess')).status).toBe(429);
  });

  test('are delayed twice as long each time, at most 15 minutes, until a success', async () => {
    const { db } = api.web;
    const who = freshName('who');
    const key = attemptsKey(who);
    const waits: number[] = [];
    for (let tries = 1; tries <= 16; tries += 1) {
      expect(await delayAttempt(db, who)).toBe(0);
      const [, at] = [await api.redis.hset(key, 'seen', tries), await api.redis.hget(key, 't')];
      waits.push(Math.max(0, Math.round((Number(at) - db.clock.now()) / 1000)));
      await api.redis.hset(key, 't', 0);
    }
    expect(waits.slice(1, 6)).toEqual([0, 1, 2, 4, 8]);
    expect(waits.at(-1)).toBe(900);
    // Redis' clock went back: nobody waits for longer than that.
    await api.redis.hset(key, 't', db.clock.now() + 86_400_000);
    expect(await delayAttempt(db, who)).toBe(900_000);
    await forgetAttempts(db, who);
    expect(await delayAttempt(db, who)).toBe(0);
  });
});

/** The Redis key of the attempts at an account. */
function attemptsKey(who: string): string {
  const digest = createHash('sha256').update(`account ${who}`).digest('hex');
  return partitionKeys(api.prefix, partitionOf(digest)).attempts(digest);
}
