// OAuth 2.0 with an independent client (openid-client) over real sockets: tokens for machines and members, their
// permissions, how they end, and what is rejected.
import { createHash, randomBytes } from 'node:crypto';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCOPES } from '../../../src/api/access/principal.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type Org,
  startApi,
  type TaskView,
  type TestApi,
  withOneCharChanged,
} from '../../support/api.ts';
import { Browser } from '../../support/browser.ts';
import { taskBody } from '../../support/workers.ts';

const REDIRECT = 'http://127.0.0.1:9/callback';
const PASSWORD = 'correct horse battery';

let api: TestApi;
let org: Org;
let stranger: Org;
/** A client for sign-in, and a member of the same org. */
let app: Made;
let member: { member_id: string; email: string };
/** A browser in which the member stays signed in, which saves password checks in the tests. */
let regular: Browser;

interface Made {
  client_id: string;
  client_secret?: string;
}

beforeAll(async () => {
  api = await startApi({ web: { publicUrl: 'own' } });
  regular = new Browser(api.url);
  [org, stranger] = [await createOrg(api), await createOrg(api)];
  app = await makeClient({
    grant_types: ['authorization_code'],
    redirect_uris: [REDIRECT],
    scopes: ['tasks:create', 'tasks:read', 'pools:read'],
  });
  member = await makeMember({ scopes: ['tasks:create', 'tasks:read'] });
});
afterAll(() => api.close());

function makeClient(fields: Record<string, unknown> = {}, by: Client = org.client): Promise<Made> {
  return by.post<Made>('/v1/oauth-clients', {
    name: 'Robot & <co>',
    scopes: ['tasks:create', 'tasks:read'],
    ...fields,
  });
}

let people = 0;
function makeMember(fields: Record<string, unknown> = {}, by: Client = org.client) {
  people += 1;
  const email = `person${people}@example.com`;
  return by.post<{ member_id: string; email: string }>('/v1/members', {
    email,
    name: 'Ada',
    password: PASSWORD,
    scopes: ['*'],
    ...fields,
  });
}

/** The server's configuration, discovered by openid-client. */
function discover({ client_id, client_secret }: Made, auth?: oauth.ClientAuth): Promise<oauth.Configuration> {
  return oauth.discovery(new URL(api.url), client_id, client_secret, auth, {
    algorithm: 'oauth2',
    execute: [oauth.allowInsecureRequests],
  });
}

async function machineToken(made: Made, parameters: Record<string, string> = {}) {
  return oauth.clientCredentialsGrant(await discover(made), parameters);
}

function create(token: string, body = taskBody()) {
  return api.client(token).request('POST', '/v1/tasks', { body });
}

/** Goes from a client's request to the redirect with the code, through the pages. */
async function authorize(
  made: Made,
  parameters: Record<string, string> = {},
  who = member.email,
  browser = who === member.email ? regular : new Browser(api.url),
) {
  const config = await discover(made);
  const verifier = oauth.randomPKCECodeVerifier();
  const state = oauth.randomState();
  const url = oauth.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    scope: 'tasks:create tasks:read',
    ...parameters,
  });
  const back = await browser.through(url.href, who, PASSWORD);
  const redeem = (pkceCodeVerifier: string = verifier) =>
    oauth.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState: state });
  return { config, back, redeem, browser, url, verifier };
}

/** The error code that the server answered a request of openid-client with. */
async function errorOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => 'none',
    (reason: unknown) => reason,
  );
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError)
    return error.error;
  return String(error);
}

describe('metadata', () => {
  test('a 401 leads to the resource metadata and from there to the authorization server', async () => {
    const refused = await api.client(null).request('GET', '/v1/tasks');
    const [, url = ''] =
      /^Bearer resource_metadata="([^"]+)"$/.exec(refused.headers.get('www-authenticate') ?? '') ?? [];
    const resource = (await (await fetch(url)).json()) as Record<string, unknown>;
    expect(resource).toMatchObject({
      resource: api.url,
      authorization_servers: [api.url],
      bearer_methods_supported: ['header'],
    });
    expect(resource.scopes_supported).toEqual(expect.arrayContaining([...SCOPES]));
    const server = await (await fetch(`${api.url}/.well-known/oauth-authorization-server`)).json();
    expect(server).toMatchObject({
      issuer: api.url,
      token_endpoint: `${api.url}/oauth/token`,
      authorization_endpoint: `${api.url}/oauth/authorize`,
      revocation_endpoint: `${api.url}/oauth/revoke`,
      introspection_endpoint: `${api.url}/oauth/introspect`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    });
    const stale = await api.client('blo_nonsense').request('GET', '/v1/tasks');
    expect(stale.headers.get('www-authenticate')).toMatch(
      /^Bearer error="invalid_token", resource_metadata="/,
    );
  });

  test.each([
    ['/.well-known/oauth-protected-resource', 'HEAD, GET, OPTIONS'],
    ['/.well-known/oauth-authorization-server', 'HEAD, GET, OPTIONS'],
    ['/.well-known/openid-configuration', 'HEAD, GET, OPTIONS'],
    ['/oauth/jwks', 'HEAD, GET, OPTIONS'],
    ['/oauth/authorize', 'HEAD, GET, OPTIONS'],
    ['/oauth/interaction/x', 'HEAD, GET, POST, OPTIONS'],
    ['/oauth/end-session', 'HEAD, GET, POST, OPTIONS'],
    ['/oauth/token', 'POST, OPTIONS'],
    ['/oauth/revoke', 'POST, OPTIONS'],
    ['/oauth/introspect', 'POST, OPTIONS'],
  ])('%s lists its methods: %s', async (path, allowed) => {
    const nobody = api.client(null);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      if (allowed.includes(method)) continue;
      const answer = await nobody.request(method, path);
      expect([answer.outcome, answer.headers.get('allow')]).toEqual(['405 method_not_allowed', allowed]);
    }
    const options = await nobody.request('OPTIONS', path);
    expect([options.status, options.headers.get('allow')]).toEqual([200, allowed]);
    expect((await nobody.request('GET', '/oauth/never-was')).outcome).toBe('404 not_found');
  });

  test('the Host header of a client is not used', async () => {
    const response = await fetch(`${api.url}/.well-known/oauth-authorization-server`, {
      headers: { 'X-Forwarded-Host': 'evil.example' },
    });
    expect(await response.text()).not.toContain('evil');
  });

  test('OpenAPI describes the flows, and every scoped route accepts both credentials', async () => {
    const document = await api.client(null).get<{
      components: { securitySchemes: { oauth2: { flows: Record<string, { tokenUrl: string }> } } };
      paths: Record<string, Record<string, { security: object[] }>>;
    }>('/openapi.json');
    const { flows } = document.components.securitySchemes.oauth2;
    expect(Object.keys(flows)).toEqual(['clientCredentials', 'authorizationCode']);
    expect(flows.clientCredentials?.tokenUrl).toBe(`${api.url}/oauth/token`);
    expect(document.paths['/v1/tasks']?.post?.security).toEqual([
      { api_key: ['tasks:create'] },
      { oauth2: ['tasks:create'] },
    ]);
  });

  test('without PUBLIC_URL OAuth is off', async () => {
    const plain = await startApi();
    for (const path of [
      '/oauth/token',
      '/.well-known/oauth-authorization-server',
      '/.well-known/oauth-protected-resource',
    ])
      expect((await plain.client(null).request('GET', path)).outcome).toBe('404 not_found');
    expect((await plain.client(null).request('GET', '/v1/tasks')).headers.get('www-authenticate')).toBe(
      'Bearer',
    );
    await plain.close();
  });
});

describe('client credentials', () => {
  test.each([
    ['in the header', undefined],
    ['in the body', oauth.ClientSecretPost()],
  ])('the secret %s gets a token that creates a task', async (_name, auth) => {
    const made = await makeClient();
    const config = await discover(made, auth ?? oauth.ClientSecretBasic(made.client_secret));
    const tokens = await oauth.clientCredentialsGrant(config, { scope: 'tasks:create' });
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'tasks:create', expires_in: 3600 });
    expect(tokens.access_token).toMatch(/^blo_/);
    const answer = await create(tokens.access_token);
    expect(answer.outcome).toBe('201');
    const { task_id, org_id } = answer.as<TaskView>();
    expect(org_id).toBe(org.org_id);
    const { data } = await org.client.get<{ data: { actor: string }[] }>(`/v1/tasks/${task_id}/events`);
    expect(data[0]?.actor).toBe(`oauth_client:${made.client_id}`);
    // The token lacks scopes that were not requested.
    expect((await api.client(tokens.access_token).request('GET', '/v1/tasks')).outcome).toBe(
      '403 insufficient_scope',
    );
  });

  test('a request without scope gets all scopes of the client, and no others are granted', async () => {
    const made = await makeClient();
    expect((await machineToken(made)).scope).toBe('tasks:create tasks:read');
    expect(await errorOf(machineToken(made, { scope: 'tasks:create tasks:cancel' }))).toBe('invalid_scope');
    expect(await errorOf(machineToken(made, { resource: 'https://elsewhere.example' }))).toBe(
      'invalid_target',
    );
  });

  test('a token is confined to its pools', async () => {
    const [own, other] = [await createPool(org.client), await createPool(org.client)];
    const { access_token } = await machineToken(await makeClient({ pools: [own] }));
    const into = (pool?: string) =>
      create(access_token, taskBody(pool === undefined ? {} : { requirements: { worker_pool_id: pool } }));
    expect((await into(own)).outcome).toBe('201');
    expect((await into(other)).outcome).toBe('403 pool_forbidden');
    expect((await into()).outcome).toBe('403 pool_forbidden');
    const there = (await org.client.post<TaskView>('/v1/tasks', taskBody())).task_id;
    expect((await api.client(access_token).request('GET', `/v1/tasks/${there}`)).outcome).toBe(
      '404 not_found',
    );
  });

  test.each([
    [
      'a wrong secret',
      (made: Made) => ({ ...made, client_secret: withOneCharChanged(made.client_secret ?? '') }),
    ],
    [
      'the hash of the secret',
      (made: Made) => ({
        ...made,
        client_secret: createHash('sha256')
          .update(made.client_secret ?? '')
          .digest('hex'),
      }),
    ],
    ["another client's secret", (made: Made) => ({ ...app, client_secret: made.client_secret ?? '' })],
    ['a client that never was', (made: Made) => ({ ...made, client_id: withOneCharChanged(made.client_id) })],
  ])('%s is refused', async (_name, change) => {
    expect(await errorOf(machineToken(change(await makeClient())))).toBe('invalid_client');
  });

  test('a client for members gets no token for itself', async () => {
    expect(await errorOf(machineToken(app))).toBe('invalid_request');
  });

  test('a replaced secret is refused, and the new one is accepted', async () => {
    const made = await makeClient();
    const rotated = await org.client.post<Made>(`/v1/oauth-clients/${made.client_id}/rotate-secret`);
    expect(await errorOf(machineToken(made))).toBe('invalid_client');
    expect((await machineToken(rotated)).access_token).toMatch(/^blo_/);
  });
});

describe('an access token ends', () => {
  test('when it is revoked: at once in this process, within a second in others', async () => {
    const elsewhere = await startApi({ prefix: api.prefix });
    const made = await makeClient();
    const { access_token } = await machineToken(made);
    const there = elsewhere.client(access_token);
    expect((await create(access_token)).outcome).toBe('201');
    await there.get('/v1/tasks');
    await oauth.tokenRevocation(await discover(made), access_token);
    const revoked = performance.now();
    expect((await create(access_token)).outcome).toBe('401 invalid_credential');
    await expect
      .poll(async () => (await there.request('GET', '/v1/tasks')).status, { interval: 50 })
      .toBe(401);
    expect(performance.now() - revoked).toBeLessThan(1300);
    await elsewhere.close();
  });

  test('when its client is removed or loses the scope', async () => {
    const made = await makeClient();
    const { access_token } = await machineToken(made);
    expect((await create(access_token)).outcome).toBe('201');
    await org.client.patch(`/v1/oauth-clients/${made.client_id}`, { scopes: ['tasks:read'] });
    expect((await create(access_token)).outcome).toBe('403 insufficient_scope');
    await org.client.delete(`/v1/oauth-clients/${made.client_id}`);
    expect((await create(access_token)).outcome).toBe('401 invalid_credential');
    expect(await errorOf(machineToken(made))).toBe('invalid_client');
  });

  test('only its own client can revoke a token, and only clients of its org can introspect it', async () => {
    const made = await makeClient();
    const { access_token } = await machineToken(made);
    const [colleague, foreigner] = [await makeClient(), await makeClient({}, stranger.client)];
    expect(await errorOf(oauth.tokenRevocation(await discover(colleague), access_token))).toBe(
      'invalid_request',
    );
    const seen = await oauth.tokenIntrospection(await discover(colleague), access_token);
    expect(seen).toMatchObject({
      active: true,
      client_id: made.client_id,
      org_id: org.org_id,
      pools: ['*'],
      scope: 'tasks:create tasks:read',
      iss: api.url,
      aud: api.url,
    });
    expect(JSON.stringify(seen)).not.toContain(access_token);
    expect(await oauth.tokenIntrospection(await discover(foreigner), access_token)).toEqual({
      active: false,
    });
    expect((await create(access_token)).outcome).toBe('201');
  });
});

describe('a member', () => {
  test('signs in and consents, and the client gets the intersection of their rights', async () => {
    const { redeem, browser } = await authorize(
      app,
      { scope: 'openid tasks:create tasks:read pools:read' },
      member.email,
      new Browser(api.url),
    );
    const tokens = await redeem();
    // The member may not read pools, whatever the client asks for.
    expect(tokens.scope?.split(' ').sort()).toEqual(['tasks:create', 'tasks:read']);
    expect(browser.seen).toEqual(['Sign in', 'Allow access']);
    expect(browser.text).toContain('Robot &amp; &lt;co&gt;');
    const { name } = await org.client.get<{ name: string }>('/v1/org');
    expect(browser.text).toContain(`You are signed in to <strong>${name}</strong> as Ada`);
    expect(browser.text).toContain('<li>Create tasks <span class="code who">tasks:create</span></li>');
    expect(browser.text).not.toContain('See worker pools');
    expect(tokens.claims()).toMatchObject({
      iss: api.url,
      sub: `${org.org_id}.${member.member_id}`,
      org_id: org.org_id,
      email: member.email,
    });
    const answer = await create(tokens.access_token);
    expect(answer.outcome).toBe('201');
    const { data } = await org.client.get<{ data: { actor: string }[] }>(
      `/v1/tasks/${answer.as<TaskView>().task_id}/events`,
    );
    expect(data[0]?.actor).toBe(`member:${member.member_id}`);
    expect((await api.client(tokens.access_token).request('GET', '/v1/pools')).outcome).toBe(
      '403 insufficient_scope',
    );
    // After one sign-in and consent, neither page is shown again.
    const again = await authorize(app, {}, member.email, browser);
    expect(browser.seen).toHaveLength(2);
    expect((await again.redeem()).access_token).toMatch(/^blo_/);
  });

  test('refuses consent, and the client gets access_denied', async () => {
    const browser = new Browser(api.url, 'deny');
    expect(await errorOf((await authorize(app, {}, member.email, browser)).redeem())).toBe('access_denied');
  });

  test('of another org must sign in as a member of this org', async () => {
    const theirs = await makeMember({}, stranger.client);
    const browser = new Browser(api.url);
    await expect(authorize(app, {}, theirs.email, browser)).rejects.toThrow('wrong');
    const clientOfTheirs = await makeClient(
      { grant_types: ['authorization_code'], redirect_uris: [REDIRECT] },
      stranger.client,
    );
    await (await authorize(clientOfTheirs, {}, theirs.email, browser)).redeem();
    browser.seen.length = 0;
    const tokens = await (await authorize(app, {}, member.email, browser)).redeem();
    expect(browser.seen).toEqual(['Sign in', 'Allow access']);
    expect((await create(tokens.access_token)).as<TaskView>().org_id).toBe(org.org_id);
  });

  test('who is disabled, removed or loses a scope loses the tokens for it', async () => {
    const one = await makeMember();
    const path = `/v1/members/${one.member_id}`;
    const tokens = await (await authorize(app, {}, one.email)).redeem();
    expect((await create(tokens.access_token)).outcome).toBe('201');
    await org.client.patch(path, { scopes: ['tasks:read'] });
    expect((await create(tokens.access_token)).outcome).toBe('403 insufficient_scope');
    await org.client.patch(path, { disabled: true });
    expect((await create(tokens.access_token)).outcome).toBe('401 invalid_credential');
    expect(await errorOf(oauth.refreshTokenGrant(await discover(app), tokens.refresh_token ?? ''))).toBe(
      'invalid_grant',
    );
    await expect(authorize(app, {}, one.email)).rejects.toThrow('wrong');
    await org.client.delete(path);
    expect((await org.client.request('GET', path)).outcome).toBe('404 not_found');
  });
});

describe('an authorization code', () => {
  test('is valid once, and a second use ends the tokens of the first', async () => {
    const { redeem } = await authorize(app);
    const tokens = await redeem();
    expect((await create(tokens.access_token)).outcome).toBe('201');
    expect(await errorOf(redeem())).toBe('invalid_grant');
    await expect
      .poll(async () => (await create(tokens.access_token)).outcome, { timeout: 2000 })
      .toBe('401 invalid_credential');
  });

  test('used ten times at once returns tokens at most once, and they are revoked', async () => {
    const { redeem } = await authorize(app);
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => redeem()));
    const good = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(good.length).toBeLessThanOrEqual(1);
    for (const { access_token } of good)
      await expect
        .poll(async () => (await create(access_token)).outcome, { timeout: 2000 })
        .toBe('401 invalid_credential');
  });

  test('requires its verifier, its client and its redirect URI', async () => {
    const { redeem } = await authorize(app);
    expect(await errorOf(redeem(oauth.randomPKCECodeVerifier()))).toBe('invalid_grant');
    const second = await authorize(app);
    const other = await makeClient({ grant_types: ['authorization_code'], redirect_uris: [REDIRECT] });
    const code = second.back.searchParams.get('code') ?? '';
    const swap = (made: Made, redirect_uri: string) =>
      fetch(`${api.url}/oauth/token`, {
        method: 'POST',
        headers: {
          Authorization: `Basic ${Buffer.from(`${made.client_id}:${made.client_secret}`).toString('base64')}`,
        },
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          code,
          redirect_uri,
          code_verifier: second.verifier,
        }),
      }).then(async (answer) => ((await answer.json()) as { error: string }).error);
    expect(await swap(other, REDIRECT)).toBe('invalid_grant');
    expect(await swap(app, 'http://127.0.0.1:9/other')).toBe('invalid_grant');
  });
});

describe('an authorization request', () => {
  const ask = async (change: (url: URL) => void) => {
    const config = await discover(app);
    const url = oauth.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope: 'tasks:read',
      code_challenge: 'a'.repeat(43),
      code_challenge_method: 'S256',
    });
    change(url);
    const response = await fetch(url, { redirect: 'manual', headers: { Accept: 'text/html' } });
    return {
      status: response.status,
      location: response.headers.get('location') ?? '',
      text: await response.text(),
    };
  };

  test.each([
    [
      'without PKCE',
      (url: URL) => ['code_challenge', 'code_challenge_method'].map((name) => url.searchParams.delete(name)),
      'invalid_request',
    ],
    ['with half of PKCE', (url: URL) => url.searchParams.delete('code_challenge'), 'invalid_request'],
    [
      'with plain PKCE',
      (url: URL) => url.searchParams.set('code_challenge_method', 'plain'),
      'invalid_request',
    ],
    [
      'for a scope that the client may not have',
      (url: URL) => url.searchParams.set('scope', 'keys:write'),
      'invalid_scope',
    ],
    [
      'for a token instead of a code',
      (url: URL) => url.searchParams.set('response_type', 'token'),
      'unsupported_response_type',
    ],
  ])('with %s redirects back with an error', async (_name, change, error) => {
    const { status, location } = await ask(change);
    expect(status).toBe(303);
    expect(location.startsWith(REDIRECT)).toBe(true);
    const { search, hash } = new URL(location);
    expect(new URLSearchParams(search || hash.slice(1)).get('error')).toBe(error);
  });

  test.each([
    ['for another redirect URI', (url: URL) => url.searchParams.set('redirect_uri', 'https://evil.example/')],
    [
      'for a redirect URI that begins like ours',
      (url: URL) => url.searchParams.set('redirect_uri', `${REDIRECT}/../x`),
    ],
    ['of a client that never was', (url: URL) => url.searchParams.set('client_id', 'blc_nobody')],
  ])('with %s does not redirect', async (_name, change) => {
    const { status, location, text } = await ask(change);
    expect([status, location]).toEqual([400, '']);
    expect(text).toContain('This did not work');
    expect(text).not.toContain('<script');
  });
});

describe('a refresh token', () => {
  test('is replaced at each use, and reuse of an old one ends the grant', async () => {
    const config = await discover(app);
    const first = await (await authorize(app)).redeem();
    const second = await oauth.refreshTokenGrant(config, first.refresh_token ?? '');
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect((await create(second.access_token)).outcome).toBe('201');
    const narrow = await oauth.refreshTokenGrant(config, second.refresh_token ?? '', { scope: 'tasks:read' });
    expect(narrow.scope).toBe('tasks:read');
    expect((await create(narrow.access_token)).outcome).toBe('403 insufficient_scope');
    expect(await errorOf(oauth.refreshTokenGrant(config, first.refresh_token ?? ''))).toBe('invalid_grant');
    expect(await errorOf(oauth.refreshTokenGrant(config, narrow.refresh_token ?? ''))).toBe('invalid_grant');
    await expect
      .poll(async () => (await api.client(narrow.access_token).request('GET', '/v1/tasks')).outcome, {
        timeout: 2000,
      })
      .toBe('401 invalid_credential');
  });

  test('ends its access token when revoked', async () => {
    const config = await discover(app);
    const tokens = await (await authorize(app)).redeem();
    await oauth.tokenRevocation(config, tokens.refresh_token ?? '');
    await expect
      .poll(async () => (await create(tokens.access_token)).outcome, { timeout: 2000 })
      .toBe('401 invalid_credential');
    expect(await oauth.tokenIntrospection(config, tokens.access_token)).toEqual({ active: false });
  });

  test('is not an access token, nor is anything else of OAuth', async () => {
    const { redeem, back } = await authorize(app);
    const tokens = await redeem();
    for (const text of [
      tokens.refresh_token,
      back.searchParams.get('code'),
      app.client_secret,
      app.client_id,
    ])
      expect((await create(text ?? '')).outcome).toBe('401 invalid_credential');
  });
});

describe('the pages', () => {
  test('accept forms only from their own origin', async () => {
    const browser = new Browser(api.url);
    const config = await discover(app);
    const url = oauth.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope: 'tasks:read',
      code_challenge: 'a'.repeat(43),
      code_challenge_method: 'S256',
    });
    await browser.open(url.href);
    const fields = { email: member.email, password: PASSWORD, action: 'sign_in' };
    expect((await browser.submit({ ...fields, token: 'forged' })).status).toBe(403);
    expect((await browser.submit(fields, { Origin: 'https://evil.example' })).status).toBe(403);
    const stolen = new Browser(api.url);
    stolen.at = browser.at;
    stolen.token = browser.token;
    expect((await stolen.submit(fields)).status).toBe(400);
    expect((await browser.submit(fields, { Origin: api.url })).status).toBe(303);
  });

  test('have a strict Content-Security-Policy', async () => {
    const browser = new Browser(api.url);
    const config = await discover(app);
    const url = oauth.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope: 'tasks:read',
      login_hint: '"><script>',
      code_challenge: 'a'.repeat(43),
      code_challenge_method: 'S256',
    });
    const { headers, text } = await browser.open(url.href);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self' http:\/\/127\.0\.0\.1:9; base-uri 'none'; frame-ancestors 'none'$/,
    );
    expect(text).not.toMatch(/<script|onload|style="|javascript:/);
    expect(headers.get('x-frame-options')).toBe('DENY');
    for (const cookie of headers.getSetCookie()) expect(cookie).toMatch(/httponly/i);
  });
});

describe('the creator of clients and members', () => {
  test('cannot grant what they lack, or change a client or member that has more', async () => {
    const pool = await createPool(org.client);
    const small = await createKey(api, org.client, {
      scopes: ['members:write', 'members:read', 'oauth:write', 'oauth:read', 'tasks:read'],
      pools: [pool],
    });
    const tries: [string, Record<string, unknown>][] = [
      ['/v1/members', { email: 'x@example.com', name: 'x' }],
      ['/v1/oauth-clients', { name: 'x' }],
    ];
    for (const [path, body] of tries) {
      const make = (more: object) => small.request('POST', path, { body: { ...body, ...more } });
      expect((await make({ scopes: ['tasks:create'] })).outcome).toBe('403 insufficient_scope');
      expect((await make({ scopes: ['tasks:read'], pools: ['*'] })).outcome).toBe('403 pool_forbidden');
      const made = (await make({ scopes: ['tasks:read'] })).as<{ pools: string[] }>();
      expect(made.pools).toEqual([pool]);
    }
    const better = await makeMember({ scopes: ['tasks:create'], pools: [pool] });
    const taken = await small.request('PATCH', `/v1/members/${better.member_id}`, {
      body: { password: 'a password of mine' },
    });
    expect(taken.outcome).toBe('403 insufficient_scope');
    const robot = await makeClient({ scopes: ['tasks:create'], pools: [pool] });
    expect((await small.request('POST', `/v1/oauth-clients/${robot.client_id}/rotate-secret`)).outcome).toBe(
      '403 insufficient_scope',
    );
    expect((await small.request('GET', `/v1/members/${member.member_id}`)).outcome).toBe('404 not_found');
  });

  test.each([
    [{ grant_types: ['authorization_code'] }, '/redirect_uris'],
    [{ grant_types: ['authorization_code'], redirect_uris: ['http://example.com/'] }, '/redirect_uris/0'],
    [{ grant_types: ['authorization_code'], redirect_uris: ['https://example.com/#x'] }, '/redirect_uris/0'],
    [{ grant_types: ['authorization_code'], redirect_uris: ['https://*.example.com/'] }, '/redirect_uris/0'],
    [{ grant_types: ['authorization_code'], redirect_uris: ['javascript:alert(1)'] }, '/redirect_uris/0'],
    [{ grant_types: ['authorization_code'], redirect_uris: ['com.example.app:/x'] }, '/redirect_uris/0'],
    [{ redirect_uris: [REDIRECT] }, '/redirect_uris'],
    [{ public: true }, '/public'],
    [{ pools: ['never-was'] }, '/pools/0'],
    [{ scopes: ['*'] }, '/scopes/0'],
  ])('refuses an invalid client: %j', async (fields, pointer) => {
    const body = { name: 'x', scopes: ['tasks:read'], ...fields };
    const answer = await org.client.request('POST', '/v1/oauth-clients', { body });
    expect([answer.status, answer.problem.errors?.[0]?.pointer]).toEqual([422, pointer]);
  });

  test('an e-mail address belongs to one member, whatever its spelling', async () => {
    const body = { email: member.email.toUpperCase(), name: 'x', scopes: ['tasks:read'] };
    expect((await org.client.request('POST', '/v1/members', { body })).outcome).toBe('409 already_exists');
    // Elsewhere it is another's.
    expect((await stranger.client.request('POST', '/v1/members', { body })).outcome).toBe('201');
  });

  test('no OAuth secret is readable in Redis', async () => {
    const made = await makeClient();
    const { access_token } = await machineToken(made);
    const { redeem, back } = await authorize(app, { scope: 'openid tasks:read' });
    const tokens = await redeem();
    const keys = await api.redis.keys(`${api.prefix}:*`);
    const dumps = await Promise.all(
      keys.map(async (key) => `${key} ${(await api.redis.dumpBuffer(key))?.toString('latin1')}`),
    );
    const all = dumps.join('\n');
    for (const secret of [
      access_token,
      made.client_secret,
      tokens.access_token,
      tokens.refresh_token,
      back.searchParams.get('code'),
      PASSWORD,
    ])
      expect(all.includes(secret ?? '?')).toBe(false);
    expect(all).not.toContain('"d":"'); // The private part of a signing key.
  });
});

test('a public client on a device needs no secret, may use any loopback port, and needs consent each time', async () => {
  const made = await makeClient({
    public: true,
    grant_types: ['authorization_code'],
    redirect_uris: ['http://127.0.0.1/callback'],
  });
  expect(made).not.toHaveProperty('client_secret');
  const browser = new Browser(api.url);
  for (const round of [1, 2]) {
    const config = await oauth.discovery(new URL(api.url), made.client_id, undefined, oauth.None(), {
      algorithm: 'oauth2',
      execute: [oauth.allowInsecureRequests],
    });
    const verifier = oauth.randomPKCECodeVerifier();
    const url = oauth.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope: 'tasks:create',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const back = await browser.through(url.href, member.email, PASSWORD);
    const tokens = await oauth.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier });
    expect((await create(tokens.access_token)).outcome).toBe('201');
    expect(browser.seen.filter((title) => title === 'Allow access')).toHaveLength(round);
  }
});

test('clients, sessions and tokens survive a restart', async () => {
  const sealer = createSealer([randomBytes(32)]);
  const before = await startApi({ web: { publicUrl: 'own' }, sealer });
  const { client } = await createOrg(before);
  const made = await client.post<Made>('/v1/oauth-clients', { name: 'x', scopes: ['tasks:create'] });
  const config = await oauth.discovery(new URL(before.url), made.client_id, made.client_secret, undefined, {
    algorithm: 'oauth2',
    execute: [oauth.allowInsecureRequests],
  });
  const { access_token } = await oauth.clientCredentialsGrant(config);
  const keysOf = async (url: string) => (await fetch(`${url}/oauth/jwks`)).text();
  const keys = await keysOf(before.url);
  expect(JSON.parse(keys).keys).toHaveLength(1);
  expect(keys).not.toContain('"d"');
  await before.close();
  const after = await startApi({ web: { publicUrl: 'own' }, sealer, prefix: before.prefix });
  expect(await keysOf(after.url)).toBe(keys);
  expect((await after.client(access_token).request('POST', '/v1/tasks', { body: taskBody() })).outcome).toBe(
    '201',
  );
  await after.close();
});
