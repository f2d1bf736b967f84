// Sessions of browsers: how workers and members sign in, what a cookie may do, and what ends a session.
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAX_SIGN_INS } from '../../../src/api/access/sign-in.ts';
import { MAX_SESSIONS } from '../../../src/store/identity/sessions.ts';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  freshName,
  type OfferView,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { Browser } from '../../support/browser.ts';
import { FROM_ELSEWHERE, tokenOf, WebPage } from '../../support/web-page.ts';
import { createTestWorker, type TestWorker, taskBody } from '../../support/workers.ts';

const PASSWORD = 'correct horse battery';
let api: TestApi;
let org: Org;

beforeAll(async () => {
  api = await startApi({ web: { publicUrl: 'own' } });
  org = await createOrg(api);
});
afterAll(() => api.close());

interface Link {
  url: string;
  expires_at: string;
}

function linkFor(worker_id: string, who: Client = org.client, body?: object): Promise<Link> {
  return who.post<Link>(`/v1/workers/${worker_id}/sign-in-links`, body);
}

/** A worker in a browser, who has signed in with a link. */
async function workerAtWork(
  who: Client = org.client,
  fields: Record<string, unknown> = {},
): Promise<{ person: TestWorker; page: WebPage }> {
  const person = await createTestWorker(api, who, fields);
  const page = new WebPage(api);
  const link = tokenOf(await linkFor(person.worker_id, who));
  expect((await page.request('POST', '/v1/worker/session', { body: { link } })).status).toBe(201);
  return { person, page };
}

async function makeMember(fields: object = { role: 'owner' }, who: Org = org) {
  const email = `${freshName('person')}@example.com`;
  const body = { email, name: 'Ada', password: PASSWORD, ...fields };
  const { member_id } = await who.client.post<{ member_id: string }>('/v1/members', body);
  return { email, member_id, path: `/v1/members/${member_id}` };
}

/** Signs a member in to the console with their password. */
async function inConsole(
  email: string,
  returnTo = '/console/tasks',
  browser = new Browser(api.url),
): Promise<WebPage> {
  await browser.open(`/console/sign-in?return_to=${encodeURIComponent(returnTo)}&org=${org.org_id}`);
  const { headers } = await browser.submit({ email, password: PASSWORD, action: 'sign_in' });
  await browser.open(headers.get('location') ?? '');
  const page = new WebPage(api);
  for (const one of browser.cookies) {
    const [name = '', value = ''] = one.split(/=(.*)/);
    if (name === 'biolayer-console') page.cookies.set(name, value);
  }
  return page;
}

test('a worker signs in with a link, once', async () => {
  const { worker_id } = await createTestWorker(api, org.client);
  const { url, expires_at } = await linkFor(worker_id);
  expect(url).toMatch(new RegExp(`^${api.url}/work/sign-in#bll_`));
  expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(890_000);
  const link = tokenOf({ url });
  const pages = Array.from({ length: 8 }, () => new WebPage(api));
  const answers = await Promise.all(
    pages.map((page) => page.request('POST', '/v1/worker/session', { body: { link } })),
  );
  expect(answers.map((one) => one.outcome).sort()).toEqual([
    '201',
    ...Array.from({ length: 7 }, () => '401 invalid_credential'),
  ]);
  const at = answers.findIndex((one) => one.status === 201);
  const [answer, page] = [answers[at], pages[at]];
  expect(answer?.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^biolayer-worker=blws_\w+; Path=\/; Max-Age=1209600; HttpOnly; SameSite=Strict$/),
  ]);
  expect(answer?.headers.get('cache-control')).toBe('no-store');
  expect(answer?.as()).toMatchObject({ worker_id, org_id: org.org_id });
  expect((await page?.request('GET', '/v1/worker/session'))?.as()).toEqual(answer?.as());
  expect((await page?.request('GET', '/v1/worker'))?.as()).toMatchObject({ worker_id });
  expect((await page?.request('PATCH', '/v1/worker', { body: { availability: 'away' } }))?.status).toBe(200);
  const { data } = await org.client.get<{ data: object[] }>('/v1/audit?limit=3');
  expect(data).toMatchObject([
    { action: 'worker.signed_in', actor: `worker:${worker_id}`, data: { with: 'link' } },
    { action: 'sign_in_link.created', target: { id: worker_id } },
    {},
  ]);
});

test('a member signs in with the password, without a consent page', async () => {
  const { email, member_id } = await makeMember({ role: 'reviewer' });
  const page = await inConsole(email);
  const session = await page.request('GET', '/console/session');
  expect(session.as()).toMatchObject({
    member_id,
    email,
    org_id: org.org_id,
    role: 'reviewer',
    pools: ['*'],
  });
  expect((await page.request('GET', '/v1/tasks')).status).toBe(200);
  expect((await page.request('GET', '/v1/api-keys')).outcome).toBe('403 insufficient_scope');
});

/** What a request with the cookie of the worker's portal or of the console comes to. */
const atWork = async (page: WebPage) => (await page.request('GET', '/v1/worker/session')).outcome;
const inTheConsole = async (page: WebPage) => (await page.request('GET', '/console/session')).outcome;

/** Streams end at once in the process that ends the session; the rest is for a busy machine, ms. */
const SOON = 5000;

/** Opens a stream, does something, and requires that the stream ends soon. */
async function endsStream(page: WebPage, path: string, act: () => Promise<unknown>): Promise<void> {
  const { ended } = await page.stream(path);
  await act();
  const at = performance.now();
  expect((await ended) - at).toBeLessThan(SOON);
}

describe('a sign-in link', () => {
  const press = async (link: string, path = '/v1/worker/session') =>
    (await new WebPage(api).request('POST', path, { body: { link } })).outcome;

  test('does not work after its time, for another page, or as a credential', async () => {
    const { worker_id } = await createTestWorker(api, org.client);
    const short = tokenOf(await linkFor(worker_id, org.client, { expires_in_seconds: 1 }));
    const link = tokenOf(await linkFor(worker_id));
    expect(await press(link, '/console/session')).toBe('401 invalid_credential');
    expect((await api.client(link).request('GET', '/v1/worker')).outcome).toBe('401 invalid_credential');
    await expect.poll(() => press(short), { interval: 300, timeout: 5000 }).toBe('401 invalid_credential');
    expect(await press(link)).toBe('201');
  });

  test.each<[string, (made: { worker_id: string; key: Client & { keyId: string } }) => Promise<unknown>]>([
    ['its worker is removed', ({ worker_id }) => org.client.delete(`/v1/workers/${worker_id}`)],
    [
      'the tokens of its worker are revoked',
      ({ worker_id }) => org.client.delete(`/v1/workers/${worker_id}/tokens`),
    ],
    [
      'its worker is signed out everywhere',
      ({ worker_id }) => org.client.delete(`/v1/workers/${worker_id}/sessions`),
    ],
    ['the key that made it is revoked', ({ key }) => org.client.delete(`/v1/api-keys/${key.keyId}`)],
  ])('ends when %s', async (_what, act) => {
    const key = await createKey(api, org.client, { scopes: ['workers:write'] });
    const { worker_id } = await createTestWorker(api, org.client);
    const link = tokenOf(await linkFor(worker_id, key));
    await act({ worker_id, key });
    expect(await press(link)).toBe('401 invalid_credential');
  });

  test('does not work for a later worker with the same id', async () => {
    const { worker_id } = await createTestWorker(api, org.client);
    const link = tokenOf(await linkFor(worker_id));
    await org.client.delete(`/v1/workers/${worker_id}`);
    await org.client.post('/v1/workers', { worker_id, name: 'Another' });
    expect(await press(link)).toBe('401 invalid_credential');
  });

  test('shows no more than the key that made it may see', async () => {
    const [own, other] = [await createPool(org.client), await createPool(org.client)];
    const key = await createKey(api, org.client, { pools: [own] });
    const { person, page } = await workerAtWork(key, { pool_ids: [own], capacity: 2 });
    await org.client.patch(`/v1/workers/${person.worker_id}`, { pool_ids: [own, other] });
    const tasks = await Promise.all(
      [own, other].map((worker_pool_id) =>
        org.client.post<TaskView>('/v1/tasks', taskBody({ requirements: { worker_pool_id } })),
      ),
    );
    for (const { task_id } of tasks)
      await org.client.post(`/v1/tasks/${task_id}/assign`, { worker_id: person.worker_id, mode: 'offer' });
    const offers = (await page.request('GET', '/v1/worker/offers')).as<Page<OfferView>>();
    expect(offers.data.map((one) => one.task_id)).toEqual([tasks[0]?.task_id]);
    const both = await key.request('POST', `/v1/workers/${person.worker_id}/sign-in-links`, { body: {} });
    expect(both.outcome).toBe('403 pool_forbidden');
  });
});

describe('a session of a worker', () => {
  test('starts with a worker token too, and is only in the cookie', async () => {
    const { worker_id, client } = await createTestWorker(api, org.client);
    const page = new WebPage(api);
    const body = { token: client.credential };
    expect((await page.request('POST', '/v1/worker/session', { body })).as()).toMatchObject({ worker_id });
    const text = page.cookies.get('biolayer-worker') ?? '';
    expect((await api.client(text).request('GET', '/v1/worker')).outcome).toBe('401 invalid_credential');
    const other = new WebPage(api);
    for (const credential of [client.credential, org.client.credential]) {
      other.cookies.set('biolayer-worker', credential ?? '');
      other.cookies.set('biolayer-console', credential ?? '');
      expect((await other.request('GET', '/v1/worker')).outcome).toBe('401 invalid_credential');
      expect((await other.request('GET', '/v1/tasks')).outcome).toBe('401 invalid_credential');
    }
    // The cookie of the portal opens nothing of the team's, and no other paths.
    expect((await page.request('GET', '/v1/tasks')).outcome).toBe('401 invalid_credential');
    expect((await page.request('GET', '/metrics')).outcome).toBe('401 invalid_credential');
    const mcp = { body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } };
    expect((await page.request('POST', '/mcp', mcp)).outcome).toBe('401 invalid_credential');
    // An Authorization header wins.
    const headers = { Authorization: `Bearer ${org.client.credential}` };
    expect((await page.request('GET', '/v1/worker', { headers })).outcome).toBe('403 insufficient_scope');
    expect((await page.request('GET', '/v1/worker/session', { headers })).outcome).toBe(
      '401 invalid_credential',
    );
    expect((await page.request('GET', '/v1/tasks', { headers })).status).toBe(200);
  });

  test('ends in this browser only, when the worker signs out', async () => {
    const { person, page } = await workerAtWork();
    const elsewhere = new WebPage(api);
    const body = { token: person.client.credential };
    await elsewhere.request('POST', '/v1/worker/session', { body });
    const text = page.cookies.get('biolayer-worker') ?? '';
    await endsStream(page, '/v1/worker/stream', async () => {
      expect((await page.request('DELETE', '/v1/worker/session')).status).toBe(204);
    });
    expect(page.cookies.size).toBe(0);
    page.cookies.set('biolayer-worker', text);
    expect(await atWork(page)).toBe('401 invalid_credential');
    expect(await atWork(elsewhere)).toBe('200');
  });

  test.each<[string, (id: string, who: Org) => Promise<unknown>, string?]>([
    ['the worker is removed', (id, who) => who.client.delete(`/v1/workers/${id}`)],
    ['the tokens of the worker are revoked', (id, who) => who.client.delete(`/v1/workers/${id}/tokens`)],
    ['the team signs the worker out', (id, who) => who.client.delete(`/v1/workers/${id}/sessions`)],
    [
      'the org is suspended',
      (_id, { org_id }) => api.operator.post(`/admin/orgs/${org_id}/suspend`, {}),
      '403 org_suspended',
    ],
    [
      'the address is not allowed any more',
      (_id, { client }) =>
        client.request('PATCH', '/v1/org?force=true', { body: { ip_allowlist: ['192.0.2.0/24'] } }),
      '403 ip_not_allowed',
    ],
  ])('ends everywhere when %s, with its streams', async (_what, act, outcome = '401 invalid_credential') => {
    const who = await createOrg(api);
    const { person, page } = await workerAtWork(who.client);
    const body = { token: person.client.credential };
    const second = new WebPage(api);
    await second.request('POST', '/v1/worker/session', { body });
    await endsStream(page, '/v1/worker/stream', () =>
      endsStream(second, '/v1/worker/stream', () => act(person.worker_id, who)),
    );
    expect([await atWork(page), await atWork(second)]).toEqual([outcome, outcome]);
    // Nor can anybody sign in now who could not call the API.
    const again = await new WebPage(api).request('POST', '/v1/worker/session', { body });
    expect(again.outcome).toBe(_what === 'the team signs the worker out' ? '201' : outcome);
  });

  test('is listed, and the oldest ends when there are too many', async () => {
    const { person, page } = await workerAtWork();
    const path = `/v1/workers/${person.worker_id}/sessions`;
    const body = { token: person.client.credential };
    const headers = { 'User-Agent': `Browser ${'x'.repeat(500)}` };
    for (let made = 1; made < MAX_SESSIONS; made += 1)
      await new WebPage(api, { Origin: api.url, ...headers }).request('POST', '/v1/worker/session', { body });
    expect(await atWork(page)).toBe('200');
    const { data } = await org.client.get<Page<Record<string, string>>>(path);
    expect(data).toHaveLength(MAX_SESSIONS);
    expect(data[0]).toMatchObject({
      signed_in_with: 'token',
      user_agent: expect.stringMatching(/^Browser x{192}$/),
    });
    expect(data.at(-1)).toMatchObject({ signed_in_with: 'link' });
    expect(JSON.stringify(data)).not.toMatch(/bl[a-z]+_|hash/);
    await new WebPage(api).request('POST', '/v1/worker/session', { body });
    // Within the second for which credentials are cached.
    await expect.poll(() => atWork(page), { timeout: SOON }).toBe('401 invalid_credential');
    expect((await org.client.get<Page<object>>(path)).data).toHaveLength(MAX_SESSIONS);
    expect(await api.redis.keys(`${api.prefix}:*:sessions:worker:${person.worker_id}`)).toHaveLength(1);
  });

  test('starts at most so often', async () => {
    const { client } = await createTestWorker(api, org.client);
    const press = () =>
      new WebPage(api).request('POST', '/v1/worker/session', { body: { token: client.credential } });
    for (let made = 0; made < MAX_SIGN_INS; made += 1) expect((await press()).status).toBe(201);
    const refused = await press();
    expect(refused.outcome).toBe('429 rate_limited');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(600);
  });

  test('of the sandbox stays there', async () => {
    const tester = await createKey(api, org.client, { mode: 'test' });
    const { person, page } = await workerAtWork(tester);
    expect((await page.request('GET', '/v1/worker/session')).as()).toMatchObject({ org_id: org.org_id });
    expect((await org.client.request('GET', `/v1/workers/${person.worker_id}/sessions`)).outcome).toBe(
      '404 not_found',
    );
  });

  test('and its link are stored as hashes only', async () => {
    const { worker_id } = await createTestWorker(api, org.client);
    const link = tokenOf(await linkFor(worker_id));
    const { page } = await workerAtWork();
    const stored: unknown[] = [];
    for (const key of await api.redis.keys(`${api.prefix}:*`)) {
      const type = await api.redis.type(key);
      stored.push(
        key,
        type === 'string' ? await api.redis.get(key) : type === 'hash' ? await api.redis.hgetall(key) : '',
      );
      if (type === 'zset') stored.push(await api.redis.zrange(key, '0', '-1'));
      if (type === 'stream') stored.push(await api.redis.xrange(key, '-', '+'));
    }
    const text = JSON.stringify(stored);
    expect(text).toContain(worker_id);
    for (const secret of [link, page.cookies.get('biolayer-worker') ?? 'none'])
      expect(text).not.toContain(secret.slice(6));
  });
});

describe('a session of a member', () => {
  test.each<[string, object | null]>([
    ['the member is removed', null],
    ['the member is disabled', { disabled: true }],
    ['the password changes', { password: 'another correct horse' }],
  ])('ends when %s, with its streams', async (_what, change) => {
    const { email, path } = await makeMember();
    const page = await inConsole(email);
    await endsStream(page, '/v1/events/stream', () =>
      change === null ? org.client.delete(path) : org.client.patch(path, change),
    );
    expect(await inTheConsole(page)).toBe('401 invalid_credential');
  });

  test('ends with the sign-in at the authorization server, when the member signs out', async () => {
    const { email } = await makeMember();
    const browser = new Browser(api.url);
    const page = await inConsole(email, '/console', browser);
    const made = await org.client.post<{ client_id: string }>('/v1/oauth-clients', {
      ...{ name: 'App', public: true, grant_types: ['authorization_code'], scopes: ['tasks:read'] },
      redirect_uris: ['https://app.example.com/back'],
    });
    const url = `/oauth/authorize?${new URLSearchParams({
      client_id: made.client_id,
      response_type: 'code',
      redirect_uri: 'https://app.example.com/back',
      scope: 'tasks:read',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    })}`;
    await browser.open(url);
    expect(browser.seen.at(-1)).toBe('Allow access');
    expect((await page.request('DELETE', '/console/session')).status).toBe(204);
    await browser.open(url);
    expect(browser.seen.at(-1)).toBe('Sign in');
    expect(await inTheConsole(page)).toBe('401 invalid_credential');
  });

  test('starts in the browser that asked for it, and returns to the console only', async () => {
    const { email } = await makeMember();
    for (const returnTo of [
      'https://elsewhere.example/',
      '//elsewhere.example',
      '/\\\\elsewhere.example',
      '/v1/org',
    ]) {
      const browser = new Browser(api.url);
      await inConsole(email, returnTo, browser);
      expect(new URL(browser.at).href).toBe(`${api.url}/console`);
    }
    const victim = new Browser(api.url);
    await victim.open(`/console/sign-in?return_to=/console&org=${org.org_id}`);
    const attacker = new Browser(api.url);
    await attacker.open(`/console/sign-in?return_to=/console&org=${org.org_id}`);
    const done = await attacker.submit({ email, password: PASSWORD, action: 'sign_in' });
    const resumed = await attacker.step(done.headers.get('location') ?? '');
    const callback = resumed.headers.get('location') ?? '';
    expect(new URL(callback).pathname).toBe('/console/callback');
    expect((await victim.open(callback)).status).toBe(400);
    expect(victim.cookies.join()).not.toContain('biolayer-console');
    expect((await attacker.open(callback)).text).not.toContain('This did not work');
    expect((await attacker.open(callback)).status).toBe(400);
  });

  test('ends everywhere when the team signs the member out', async () => {
    const { email, path } = await makeMember();
    const pages = [await inConsole(email), await inConsole(email)];
    expect((await org.client.get<Page<object>>(`${path}/sessions`)).data).toMatchObject([
      { signed_in_with: 'password' },
      { signed_in_with: 'password' },
    ]);
    const [first, second] = pages as [WebPage, WebPage];
    await endsStream(first, '/v1/events/stream', () => org.client.delete(`${path}/sessions`));
    expect([await inTheConsole(first), await inTheConsole(second)]).toEqual([
      '401 invalid_credential',
      '401 invalid_credential',
    ]);
  });

  test('does at once what the member may do then', async () => {
    const { email, path } = await makeMember({ role: 'viewer' });
    const page = await inConsole(email);
    expect((await page.request('POST', '/v1/pools', { body: { name: 'x' } })).outcome).toBe(
      '403 insufficient_scope',
    );
    await endsStream(page, '/v1/events/stream', () => org.client.patch(path, { role: 'manager' }));
    expect((await page.request('POST', '/v1/pools', { body: { name: 'x' } })).status).toBe(201);
    expect((await page.request('GET', '/console/session')).as()).toMatchObject({ role: 'manager' });
    // What a member makes does not end with the session.
    await org.client.patch(path, { role: 'owner' });
    const member = { email: `${freshName('b')}@example.com`, name: 'Bob', role: 'viewer' };
    expect((await page.request('POST', '/v1/members', { body: member })).status).toBe(201);
    expect(
      (await page.request('POST', '/v1/api-keys', { body: { name: 'k', scopes: ['tasks:read'] } })).as(),
    ).toMatchObject({
      expires_at: null,
    });
  });

  test('sees only the pools and the org of the member', async () => {
    const [pool, other] = [await createPool(org.client), await createPool(org.client)];
    const { email } = await makeMember({ role: 'manager', pools: [pool] });
    const page = await inConsole(email);
    const seen = async (id: string) => (await page.request('GET', `/v1/pools/${id}`)).outcome;
    expect([await seen(pool), await seen(other)]).toEqual(['200', '404 not_found']);
    const stranger = await createOrg(api);
    expect(await seen(await createPool(stranger.client))).toBe('404 not_found');
  });
});

describe('a request with a cookie', () => {
  test('from another page is refused and changes nothing', async () => {
    const { page } = await workerAtWork();
    const { email } = await makeMember();
    const team = await inConsole(email);
    const away = { body: { availability: 'away' } };
    const foreign: Record<string, string>[] = [
      FROM_ELSEWHERE,
      { Origin: 'null' },
      { Origin: api.url, 'Sec-Fetch-Site': 'cross-site' },
      { Origin: api.url.replace('http:', 'https:') },
      { Origin: api.url.replace(/\d+$/, '1') },
      { Origin: '', 'Sec-Fetch-Site': 'same-site' },
      { Origin: '', 'Sec-Fetch-Site': 'none' },
      { Origin: '' },
    ];
    for (const headers of foreign) {
      const refused = await Promise.all([
        page.request('PATCH', '/v1/worker', { ...away, headers }),
        page.request('DELETE', '/v1/worker/session', { headers }),
        page.request('POST', '/v1/worker/session', { body: { link: 'x' }, headers }),
        team.request('POST', '/v1/pools', { body: { name: 'csrf' }, headers }),
        team.request('DELETE', '/console/session', { headers }),
      ]);
      for (const one of refused) expect([headers, one.outcome]).toEqual([headers, '403 origin_not_allowed']);
    }
    for (const headers of [FROM_ELSEWHERE, { Origin: '', 'Sec-Fetch-Site': 'same-site' }])
      expect((await page.request('GET', '/v1/worker', { headers })).outcome).toBe('403 origin_not_allowed');
    expect((await page.request('GET', '/v1/worker')).as()).toMatchObject({ availability: 'available' });
    const own = { Origin: '', 'Sec-Fetch-Site': 'same-origin' };
    expect((await page.request('PATCH', '/v1/worker', { ...away, headers: own })).status).toBe(200);
    expect((await page.request('GET', '/v1/worker', { headers: { Origin: '' } })).status).toBe(200);
  });

  test('of a form is refused, also to sign in', async () => {
    const { worker_id } = await createTestWorker(api, org.client);
    const link = tokenOf(await linkFor(worker_id));
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      const raw = type === 'text/plain' ? JSON.stringify({ link }) : `link=${link}`;
      const headers = { 'Content-Type': type };
      const answer = await new WebPage(api).request('POST', '/v1/worker/session', { raw, headers });
      expect(answer.outcome).toBe('415 unsupported_media_type');
    }
    const opened = await new WebPage(api).request('GET', `/v1/worker/session?link=${link}`);
    expect(opened.status).toBeGreaterThanOrEqual(400);
    const body = { link, token: link };
    expect((await new WebPage(api).request('POST', '/v1/worker/session', { body })).outcome).toBe(
      '422 validation_failed',
    );
    expect((await new WebPage(api).request('POST', '/v1/worker/session', { body: { link } })).status).toBe(
      201,
    );
  });
});

describe('over https', () => {
  test('cookies have the prefix, and a cookie without it is not read', async () => {
    const site = 'https://work.example.com';
    const secure = await startApi({ web: { publicUrl: site } });
    try {
      const { client } = await createOrg(secure);
      const { worker_id } = await createTestWorker(secure, client);
      const { url } = await client.post<Link>(`/v1/workers/${worker_id}/sign-in-links`);
      expect(url).toMatch(/^https:\/\/work\.example\.com\/work\/sign-in#/);
      const page = new WebPage(secure, { Origin: site });
      const made = await page.request('POST', '/v1/worker/session', { body: { link: tokenOf({ url }) } });
      expect(made.headers.getSetCookie()).toEqual([
        expect.stringMatching(
          /^__Host-biolayer-worker=\w+; Path=\/; Max-Age=\d+; HttpOnly; Secure; SameSite=Strict$/,
        ),
      ]);
      expect(await atWork(page)).toBe('200');
      const tossed = new WebPage(secure, { Origin: site });
      tossed.cookies.set('biolayer-worker', page.cookies.get('__Host-biolayer-worker') ?? '');
      expect(await atWork(tossed)).toBe('401 invalid_credential');
      const plain = new WebPage(secure, { Origin: secure.url });
      const token = { body: { token: 'blw_x' } };
      expect((await plain.request('POST', '/v1/worker/session', token)).outcome).toBe(
        '403 origin_not_allowed',
      );
    } finally {
      await secure.close();
    }
  });

  test('as a trusted proxy reports it; without https only loopback has cookies', async () => {
    const behind = await startApi({ web: { trustedProxies: ['127.0.0.1/32'] } });
    try {
      const { client } = await createOrg(behind);
      const { client: worker } = await createTestWorker(behind, client);
      const signIn = (headers: Record<string, string>) =>
        new WebPage(behind, headers).request('POST', '/v1/worker/session', {
          body: { token: worker.credential },
        });
      const proxied = { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https' };
      const origin = behind.url.replace('http:', 'https:');
      const made = await signIn({ ...proxied, Origin: origin });
      expect(made.headers.getSetCookie()[0]).toMatch(/^__Host-.*; Secure; /);
      expect((await signIn({ ...proxied, Origin: behind.url })).outcome).toBe('403 origin_not_allowed');
      expect((await signIn({ Origin: behind.url })).headers.getSetCookie()[0]).toMatch(/^biolayer-worker=/);
      const elsewhere = { Host: 'work.example.com', Origin: 'http://work.example.com' };
      expect(await statusWithHost(behind.url, elsewhere, { token: worker.credential })).toBe(403);
    } finally {
      await behind.close();
    }
  });
});

/** The status of a sign-in with a `Host` of its own, which fetch cannot send. */
async function statusWithHost(
  url: string,
  headers: Record<string, string>,
  body: object,
): Promise<number | undefined> {
  const sent = request(`${url}/v1/worker/session`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/json' },
  });
  sent.end(JSON.stringify(body));
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode;
}
