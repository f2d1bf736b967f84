// Access to every route with every kind of credential; the cases come from the route table, so new routes are included. A
// resource of another org gets, byte for byte, the same response as one that does not exist.
import { Check } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCOPES, scopesOf } from '../../../src/api/access/principal.ts';
import type { Route } from '../../../src/api/route.ts';
import { ROUTES } from '../../../src/api/routes/index.ts';
import {
  type Answer,
  type Client,
  createKey,
  createOrg,
  createPool,
  type Org,
  startApi,
  type TestApi,
  waitUntil,
  withOneCharChanged,
} from '../../support/api.ts';
import { consolePage, FROM_ELSEWHERE, tokenOf, WebPage } from '../../support/web-page.ts';
import { createTaskIn, createTestWorker, type TestWorker, taskBody } from '../../support/workers.ts';

const NEVER = '0190163d-8694-739b-aea5-966c26f8ad90';
/** The port of `discard`. */
const NOBODY_LISTENS = 'http://127.0.0.1:9/';

let api: TestApi;
let owner: Org;
/** One record of the owner for each path parameter, all in a pool that the confined key does not have. */
let things: Record<string, string>;
let stranger: Org;
let confined: Client;
let colleague: TestWorker;
/** Created by the confined key, like their token. */
let confinedWorker: TestWorker;
let strangersWorker: TestWorker;
/** A test key of the owner, and a worker of the owner's sandbox. */
let tester: Client;
let testersWorker: TestWorker;
/** Invalid credentials, by reason. */
let nobodies: Record<string, string>;
/** Pages of the owner's org in which a worker and a member with all scopes are signed in. */
let pages: { worker: WebPage; console: WebPage };
let scoped: Map<string, { only: Client; allBut: Client }>;

beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
  [owner, stranger] = [await createOrg(api), await createOrg(api)];
  const soon = new Date(Date.now() + 1500).toISOString();
  const expired = await createKey(api, owner.client, { expires_at: soon });
  const revoked = await createKey(api, owner.client);
  // In use when it is revoked, so the cached identity must be dropped too.
  await revoked.get('/v1/tasks');
  await owner.client.delete(`/v1/api-keys/${revoked.keyId}`);
  const elsewhere = await startApi();
  const unknown = (await createOrg(elsewhere)).client.credential;
  await elsewhere.close();

  const offered = await createTaskIn(api, owner, 'offered');
  const started = await createTaskIn(api, owner, 'started');
  const { offer_id } = await offered.person.offerOf(offered.task.task_id);
  const upload = { raw: 'bytes', headers: { 'Content-Type': 'text/plain' } };
  const { evidence_id } = await started.person.client.post<{ evidence_id: string }>(
    `/v1/worker/tasks/${started.task.task_id}/evidence?name=a.txt`,
    undefined,
    upload,
  );
  const { keyId } = await createKey(api, owner.client, { pools: [started.poolId] });
  const confinedTo = { name: 'x', scopes: ['tasks:read'], pools: [started.poolId] };
  const { client_id } = await owner.client.post<{ client_id: string }>('/v1/oauth-clients', confinedTo);
  const { member_id } = await owner.client.post<{ member_id: string }>('/v1/members', {
    ...confinedTo,
    email: 'x@example.com',
  });
  const { channel_id } = await started.person.client.post<{ channel_id: string }>(CHANNELS, CHANNEL);
  const { issuer_id } = await owner.client.post<{ issuer_id: string }>('/v1/issuers', {
    ...ISSUER,
    pools: [started.poolId],
  });
  things = {
    task_id: started.task.task_id,
    evidence_id,
    offer_id,
    pool_id: started.poolId,
    worker_id: started.person.worker_id,
    key_id: keyId,
    client_id,
    member_id,
    issuer_id,
    channel_id,
    name: 'matrix_type',
    bulk_action_id: await bulkActionOf(owner.client),
    redelivery_id: await redeliveryOf(owner.client),
    stop_id: await deliveryStopOf(owner.client),
    version: '1',
    // Belongs to no org; only the operator gets as far as the look-up.
    entry_id: 'p08-1-1',
  };
  await owner.client.request('PUT', '/v1/task-types/matrix_type', { body: {} });
  const { endpoint_id } = await owner.client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', {
    url: NOBODY_LISTENS,
    enabled: false,
  });
  Object.assign(things, { endpoint_id, ...(await toldTo(endpoint_id)) });
  const own = await createPool(owner.client);
  confined = await createKey(api, owner.client, { pools: [own] });
  colleague = await createTestWorker(api, owner.client, { pool_ids: [own] });
  confinedWorker = await createTestWorker(api, confined, { pool_ids: [own] });
  strangersWorker = await createTestWorker(api, stranger.client);
  tester = await createKey(api, owner.client, { mode: 'test' });
  testersWorker = await createTestWorker(api, tester);
  const dismissed = await createTestWorker(api, owner.client);
  await dismissed.client.get('/v1/worker');
  await owner.client.delete(`/v1/workers/${dismissed.worker_id}/tokens`);
  const removed = await createTestWorker(api, owner.client);
  await removed.client.get('/v1/worker');
  await owner.client.delete(`/v1/workers/${removed.worker_id}`);

  const page = new WebPage(api);
  const link = tokenOf(
    await owner.client.post<{ url: string }>(`/v1/workers/${colleague.worker_id}/sign-in-links`),
  );
  await page.request('POST', '/v1/worker/session', { body: { link } });
  const lead = await owner.client.post<{ member_id: string }>('/v1/members', {
    ...{ email: 'lead@example.com', name: 'Lead', role: 'owner' },
  });
  pages = { worker: page, console: await consolePage(api, owner.org_id, lead.member_id) };

  const good = owner.client.credential ?? '';
  nobodies = {
    'expired key': expired.credential ?? '',
    'revoked key': revoked.credential ?? '',
    'key of another system': unknown ?? '',
    'revoked worker token': dismissed.client.credential ?? '',
    'token of a removed worker': removed.client.credential ?? '',
    'one character changed': withOneCharChanged(good),
    'cut short': good.slice(0, -1),
    'with more behind': `${good}0`,
    'the other prefix': good.replace('blk_live_', 'blw_'),
    'a live key as a test key': good.replace('blk_live_', 'blk_test_'),
    nonsense: 'nonsense',
  };
  const entries = SCOPES.map(async (scope) => {
    const [only, allBut] = await Promise.all([
      createKey(api, owner.client, { scopes: [scope] }),
      createKey(api, owner.client, { scopes: SCOPES.filter((one) => one !== scope) }),
    ]);
    return [scope, { only, allBut }] as const;
  });
  scoped = new Map(await Promise.all(entries));
  await waitUntil(soon);
}, 60_000);

afterAll(() => api.close());

/** A delivery and a replay of the owner that confined keys cannot see: of an endpoint for all pools. */
async function toldTo(endpointId: string): Promise<{ delivery_id: string; replay_id: string }> {
  const path = `/v1/webhook-endpoints/${endpointId}`;
  await owner.client.post(`${path}/enable`);
  await owner.client.post(`${path}/test`);
  const { replay_id } = await owner.client.post<{ replay_id: string }>(`${path}/replay`, REPLAY);
  await owner.client.post(`${path}/disable`);
  const { data } = await owner.client.get<{ data: { delivery_id: string }[] }>(`${path}/deliveries`);
  return { delivery_id: data[0]?.delivery_id ?? '', replay_id };
}

/** A run of all pools that stops deliveries, which confined keys cannot see. */
async function deliveryStopOf(client: Client): Promise<string> {
  return (await client.post<{ stop_id: string }>('/v1/delivery-stops', { callback_url: NOBODY_LISTENS }))
    .stop_id;
}

/** A redelivery of all pools, which confined keys cannot see. */
async function redeliveryOf(client: Client): Promise<string> {
  return (await client.post<{ redelivery_id: string }>('/v1/dead-letters/redeliver', {})).redelivery_id;
}

/** A bulk action of all pools, which confined keys cannot see. */
async function bulkActionOf(client: Client): Promise<string> {
  const body = { action: 'cancel', filter: { domain: ['nothing'] } };
  return (await client.post<{ bulk_action_id: string }>('/v1/bulk-actions', body)).bulk_action_id;
}

const CHANNELS = '/v1/worker/notification-channels';
const CHANNEL = { kind: 'slack', url: NOBODY_LISTENS };
const REPLAY = { since: '2020-01-01T00:00:00Z' };
const ISSUER = {
  name: 'x',
  issuer: 'https://id.example.com/',
  jwks_uri: 'https://id.example.com/jwks',
  scope_map: { read: ['tasks:read'] },
};

/** A valid body for a route. Other routes accept an empty one, as `the matrix tries every route` checks. */
const BODIES: Record<string, unknown> = {
  'POST /v1/tasks': taskBody(),
  'POST /v1/tasks/batch': { tasks: [taskBody()] },
  'POST /v1/tasks/preview': taskBody(),
  'POST /v1/tasks/{task_id}/review': { decision: 'approve' },
  'POST /v1/tasks/{task_id}/requeue': { reason: 'x' },
  'POST /v1/tasks/{task_id}/messages': { text: 'x' },
  'POST /v1/tasks/{task_id}/messages/read': { through: 1 },
  'POST /v1/worker/tasks/{task_id}/messages': { text: 'x' },
  'POST /v1/worker/tasks/{task_id}/report': { reason: 'unsafe' },
  'POST /v1/worker/tasks/{task_id}/dispute': { text: 'x' },
  'POST /v1/tasks/{task_id}/dispute/resolve': { decision: 'uphold' },
  'POST /v1/worker/tasks/{task_id}/messages/read': { through: 1 },
  'POST /v1/tasks/{task_id}/assign': { worker_id: 'nobody' },
  'POST /v1/bulk-actions': { action: 'cancel', filter: { domain: ['nothing'] }, dry_run: true },
  'POST /v1/pools': { name: 'x' },
  'POST /v1/workers': { name: 'x' },
  'POST /v1/webhook-endpoints': { url: NOBODY_LISTENS },
  'POST /v1/webhook-endpoints/{endpoint_id}/replay': REPLAY,
  'PATCH /v1/worker': { availability: 'available' },
  'POST /v1/worker/tasks/{task_id}/submit': { output: { seen: true } },
  [`POST ${CHANNELS}`]: CHANNEL,
  [`POST ${CHANNELS}/{channel_id}/confirm`]: { code: '123456' },
  'POST /v1/api-keys': { name: 'x', scopes: ['keys:write'] },
  'POST /v1/oauth-clients': { name: 'x', scopes: ['oauth:write'] },
  'POST /v1/members': { email: 'y@example.com', name: 'x', scopes: ['members:write'] },
  'POST /v1/issuers': { ...ISSUER, scope_map: { write: ['oauth:write'] } },
  'POST /admin/orgs': { name: 'x' },
  'POST /admin/orgs/{org_id}/api-keys': { name: 'x', scopes: ['tasks:read'] },
};

/** Callers that must not see the owner's records, by the access of the route. */
function strangersTo(route: Route): [who: string, client: Client][] {
  return route.access.kind === 'worker'
    ? [
        ['a colleague', colleague.client],
        ['a worker made by a confined key', confinedWorker.client],
        ["another org's worker", strangersWorker.client],
        ['a worker of the sandbox', testersWorker.client],
      ]
    : [
        ['another org', stranger.client],
        ['a key for another pool', confined],
        ['a test key', tester],
      ];
}

/** Whether the route rejects all test keys. */
function isLiveOnly(route: Route): boolean {
  return route.access.kind === 'scope' && route.access.liveOnly === true;
}

/** Task types are the whole org's: keys that are confined to pools may read them. */
function isAboutTypes(route: Route): boolean {
  return route.path.startsWith('/v1/task-types');
}

function nameOf(route: Route): string {
  return `${route.method} ${route.path}`;
}

/** Calls a route with ids of the owner's records, or with ids that do not exist. */
function call(
  who: Pick<Client, 'request'>,
  route: Route,
  about: 'things' | 'nothing',
  headers: Record<string, string> = {},
): Promise<Answer> {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    // Not a record of the owner, but of the org, whose keys can see it.
    const thing = name === 'org_id' ? owner.org_id : things[name];
    if (thing === undefined) throw new Error(`the matrix has no {${name}}: make one in beforeAll`);
    return about === 'things' ? thing : NEVER;
  });
  if (route.reader !== undefined) {
    const type = { 'Content-Type': 'text/plain', ...headers };
    return who.request(route.method, `${path}?name=x`, { raw: 'x', headers: type });
  }
  const takesBody = route.body !== undefined;
  // An event stream would not end.
  const isStream = route.query?.properties.max_seconds !== undefined;
  return who.request(route.method, isStream ? `${path}?max_seconds=1` : path, {
    headers,
    ...(takesBody && { body: BODIES[nameOf(route)] ?? {} }),
  });
}

/** Everything in a response that a client could distinguish. */
function visible({ status, headers, text }: Answer): unknown {
  const hidden = ['date', 'request-id'];
  return {
    status,
    headers: Object.fromEntries([...headers].filter(([name]) => !hidden.includes(name))),
    text: withoutRequestId(text),
  };
}

function withoutRequestId(text: string): string {
  return text.replace(/"request_id":"[^"]*"/, '');
}

/** The owner's view of the records, to show that they have not changed. */
async function ownersView(): Promise<string[]> {
  const paths = [
    'tasks/{task_id}',
    'tasks/{task_id}/events',
    'tasks/{task_id}/evidence',
    'pools/{pool_id}',
    'workers/{worker_id}',
    'oauth-clients/{client_id}',
    'members/{member_id}',
    'issuers/{issuer_id}',
    'task-types/{name}/versions',
  ];
  const filled = paths.map((path) => path.replace(/\{(\w+)\}/, (_, name: string) => things[name] ?? ''));
  const answers = await Promise.all(filled.map((path) => owner.client.request('GET', `/v1/${path}`)));
  const keys = await owner.client.request('GET', '/v1/api-keys?limit=200');
  return [
    ...answers.map((one) => withoutRequestId(one.text)),
    String(keys.text.includes(things.key_id ?? '')),
  ];
}

const CASES = ROUTES.filter(({ access }) => access.kind !== 'open' && access.kind !== 'sign_in').map(
  (route) => ({
    route,
    name: nameOf(route),
  }),
);

/** Section 4 of the contract. */
const PROMISED: [string, string][] = [
  ['POST /v1/tasks', 'tasks:create'],
  ['GET /v1/tasks/{task_id}', 'tasks:read'],
  ['GET /v1/tasks', 'tasks:read'],
  ['POST /v1/tasks/{task_id}/cancel', 'tasks:cancel'],
  ['POST /v1/tasks/{task_id}/review', 'tasks:review'],
  ['PATCH /v1/tasks/{task_id}', 'tasks:update'],
  ['POST /v1/tasks/{task_id}/requeue', 'tasks:assign'],
  ['POST /v1/tasks/{task_id}/assign', 'tasks:assign'],
  ['POST /v1/tasks/{task_id}/dispute/resolve', 'tasks:review'],
  ['GET /v1/tasks/{task_id}/events', 'tasks:read'],
  ['GET /v1/tasks/{task_id}/evidence/{evidence_id}', 'tasks:read'],
  ['GET /v1/tasks/{task_id}/deliveries', 'webhooks:read'],
  ['POST /v1/deliveries/{delivery_id}/redeliver', 'webhooks:write'],
  ['POST /v1/delivery-stops', 'webhooks:write'],
  ['GET /v1/delivery-stops', 'webhooks:read'],
  ['GET /v1/events', 'events:read'],
  ...['pool', 'worker'].flatMap((one): [string, string][] => [
    [`POST /v1/${one}s`, `${one}s:write`],
    [`GET /v1/${one}s`, `${one}s:read`],
    [`GET /v1/${one}s/{${one}_id}`, `${one}s:read`],
    [`PATCH /v1/${one}s/{${one}_id}`, `${one}s:write`],
    [`DELETE /v1/${one}s/{${one}_id}`, `${one}s:write`],
  ]),
  ['POST /v1/workers/{worker_id}/tokens', 'workers:write'],
  ['DELETE /v1/workers/{worker_id}/tokens', 'workers:write'],
  ['POST /v1/webhook-endpoints', 'webhooks:write'],
  ['GET /v1/webhook-endpoints', 'webhooks:read'],
  ['GET /v1/webhook-endpoints/{endpoint_id}', 'webhooks:read'],
  ['PATCH /v1/webhook-endpoints/{endpoint_id}', 'webhooks:write'],
  ['DELETE /v1/webhook-endpoints/{endpoint_id}', 'webhooks:write'],
  ['POST /v1/webhook-endpoints/{endpoint_id}/rotate-secret', 'webhooks:write'],
  ['POST /v1/webhook-endpoints/{endpoint_id}/test', 'webhooks:write'],
  ['POST /v1/webhook-endpoints/{endpoint_id}/replay', 'webhooks:write'],
  ['GET /v1/webhook-secret', 'webhooks:write'],
  ['POST /v1/webhook-secret/rotate', 'webhooks:write'],
  ['POST /v1/api-keys', 'keys:write'],
  ['GET /v1/api-keys', 'keys:read'],
  ['DELETE /v1/api-keys/{key_id}', 'keys:write'],
  ['GET /v1/org', 'org:read'],
  ['PATCH /v1/org', 'org:write'],
];

describe('the matrix tries every route', () => {
  test.each(CASES)('$name', ({ route, name }) => {
    for (const [, parameter = ''] of route.path.matchAll(/\{(\w+)\}/g))
      if (parameter !== 'org_id' && things[parameter] === undefined)
        throw new Error(
          `${name}: make something of the owner's in beforeAll, and name it in things.${parameter}`,
        );
    const sample = BODIES[name] ?? {};
    if (route.body !== undefined && !Check(route.body, sample))
      throw new Error(`${name}: give BODIES a body that it takes; ${JSON.stringify(sample)} is none`);
  });
});

describe.concurrent('an invalid credential', () => {
  test.each(CASES)('$name', async ({ route }) => {
    const none = await call(api.client(null), route, 'things');
    expect(none.outcome).toBe('401 invalid_credential');
    expect(none.headers.get('www-authenticate')).toMatch(/^Bearer/);
    const outcomes = Object.entries(nobodies).map(async ([name, text]) => {
      const answer = await call(api.client(text), route, 'things');
      return [name, answer.outcome];
    });
    expect(await Promise.all(outcomes)).toEqual(
      Object.keys(nobodies).map((name) => [name, '401 invalid_credential']),
    );
  });

  const good = () => owner.client.credential;
  test.each([
    ['an empty header', () => ''],
    ['the scheme alone', () => 'Bearer'],
    ['the key alone', good],
    ['another scheme', () => `Token ${good()}`],
    ['Basic with the key', () => `Basic ${Buffer.from(`${good()}:`).toString('base64')}`],
    ['two keys', () => `Bearer ${good()} ${good()}`],
    ['two keys, comma', () => `Bearer ${good()}, Bearer ${good()}`],
  ])('%s', async (_name, header) => {
    const headers = { Authorization: header() ?? '' };
    expect((await api.client(null).request('GET', '/v1/tasks', { headers })).outcome).toBe(
      '401 invalid_credential',
    );
  });

  test('a key in the query is ignored', async () => {
    for (const name of ['api_key', 'access_token', 'key', 'authorization']) {
      const answer = await api.client(null).request('GET', `/v1/tasks?${name}=${good()}`);
      expect(answer.outcome).toBe('401 invalid_credential');
    }
  });

  test('the scheme name is case-insensitive (RFC 9110, section 11.1)', async () => {
    for (const scheme of ['bearer', 'BEARER']) {
      const headers = { Authorization: `${scheme} ${good()}` };
      expect((await api.client(null).request('GET', '/v1/tasks', { headers })).status).toBe(200);
    }
  });
});

describe.concurrent('a credential of another kind', () => {
  test.each(CASES)('$name', async ({ route }) => {
    const expected = {
      scope: { operator: '401 invalid_credential', worker: '403 insufficient_scope' },
      worker: { operator: '401 invalid_credential', api_key: '403 insufficient_scope' },
      operator: { worker: '401 invalid_credential', api_key: '401 invalid_credential' },
      session: {
        operator: '401 invalid_credential',
        worker: '401 invalid_credential',
        api_key: '401 invalid_credential',
      },
    };
    const clients = { operator: api.operator, worker: colleague.client, api_key: owner.client };
    const { kind } = route.access;
    if (kind === 'open' || kind === 'sign_in') return;
    for (const [who, outcome] of Object.entries(expected[kind]))
      expect([who, (await call(clients[who as keyof typeof clients], route, 'things')).outcome]).toEqual([
        who,
        outcome,
      ]);
  });
});

describe.concurrent('the cookie of a session', () => {
  const HOLDERS = { scope: 'console', worker: 'worker', operator: null } as const;

  test.each(CASES)('$name', async ({ route }) => {
    const { access } = route;
    const holder = access.kind === 'session' ? access.of : HOLDERS[access.kind as keyof typeof HOLDERS];
    for (const [name, page] of Object.entries(pages)) {
      const answer = () => call(page, route, 'nothing');
      if (name !== holder) expect([name, (await answer()).outcome]).toEqual([name, '401 invalid_credential']);
      else {
        const foreign = await call(page, route, 'nothing', FROM_ELSEWHERE);
        expect([name, foreign.outcome]).toEqual([name, '403 origin_not_allowed']);
        // Signing out would end it for the other routes.
        if (access.kind !== 'session' || route.method !== 'DELETE')
          expect([401, 403]).not.toContain((await answer()).status);
      }
    }
  });

  test('gives a member the scopes that they have', async () => {
    const members = SCOPES.map(async (scope) => {
      const email = `${scope.replace(':', '.')}@example.com`;
      const { member_id } = await owner.client.post<{ member_id: string }>('/v1/members', {
        ...{ email, name: 'x', scopes: [scope] },
      });
      const page = await consolePage(api, owner.org_id, member_id);
      for (const { route, name } of CASES) {
        if (route.access.kind !== 'scope' || route.method !== 'GET' || scopesOf(route.access).length > 1)
          continue;
        const { status } = await call(page, route, 'nothing');
        expect([scope, name, status === 403]).toEqual([scope, name, route.access.scope !== scope]);
      }
      await owner.client.delete(`/v1/members/${member_id}`);
    });
    await Promise.all(members);
  });
});

describe.concurrent('scopes', () => {
  const cases = CASES.flatMap(({ route, name }) =>
    // Those with one of several scopes: test/api/routes/bulk.
    route.access.kind === 'scope' && scopesOf(route.access).length === 1
      ? [{ route, name, scope: route.access.scope }]
      : [],
  );

  test.each(cases)('$name requires $scope', async ({ route, scope }) => {
    const { only, allBut } = scoped.get(scope) ?? {};
    if (only === undefined || allBut === undefined) throw new Error(`no keys for ${scope}`);
    expect((await call(allBut, route, 'things')).outcome).toBe('403 insufficient_scope');
    // With ids that do not exist, so that the records remain: permitted callers get 404.
    const { status } = await call(only, route, 'nothing');
    expect([401, 403]).not.toContain(status);
  });

  test.each(PROMISED.filter(([name]) => CASES.some((one) => one.name === name)))(
    '%s requires %s',
    (name, scope) => {
      const { access } = CASES.find((one) => one.name === name)?.route ?? {};
      expect(access).toMatchObject({ kind: 'scope', scope });
    },
  );
});

describe('a record of another org looks like one that does not exist', () => {
  const withThings = CASES.filter(
    // A PUT of a task type registers the caller's own.
    ({ route, name }) =>
      route.path.includes('{') && route.access.kind !== 'operator' && name !== 'PUT /v1/task-types/{name}',
  );

  /** The owner's view after the previous case, unless that one failed. */
  let view: string[] | undefined;

  test.each(withThings)('$name', async ({ route }) => {
    const before = view ?? (await ownersView());
    view = undefined;
    const cases = strangersTo(route).map(async ([name, who]) => {
      if (who === confined && isAboutTypes(route)) return;
      const nothing = await call(who, route, 'nothing');
      const turnedAway = who === tester && isLiveOnly(route);
      expect([name, nothing.outcome]).toEqual([name, turnedAway ? '403 live_key_required' : '404 not_found']);
      expect(visible(await call(who, route, 'things'))).toEqual(visible(nothing));
      // An outdated version or an Idempotency-Key makes no difference either.
      const headers = { 'If-Match': '"999"', 'Idempotency-Key': 'matrix' };
      expect(visible(await call(who, route, 'things', headers))).toEqual(visible(nothing));
    });
    await Promise.all(cases);
    const after = await ownersView();
    expect(after).toEqual(before);
    view = after;
  });

  const lists = CASES.filter(
    ({ route }) =>
      route.method === 'GET' &&
      !route.path.includes('{') &&
      route.access.kind !== 'operator' &&
      route.access.kind !== 'session',
  );
  test.each(lists)('$name lists none of them', async ({ route }) => {
    const cases = strangersTo(route).map(async ([name, who]) => {
      const { status, text } = await call(who, route, 'things');
      // Routes about the whole org reject keys that are confined to pools.
      const isWhole = /^\/v1\/(audit|webhook-secret|stats\/deliveries)/.test(route.path) && who === confined;
      const turnedAway = who === tester && isLiveOnly(route);
      expect([name, status]).toEqual([name, isWhole || turnedAway ? 403 : 200]);
      if (who === confined && isAboutTypes(route)) return;
      for (const [kind, thing] of Object.entries(things))
        if (kind !== 'version') expect(text).not.toContain(thing);
    });
    await Promise.all(cases);
  });

  test.each(CASES.filter(({ route }) => isLiveOnly(route)))(
    '$name turns test keys away',
    async ({ route }) => {
      expect((await call(tester, route, 'things')).outcome).toBe('403 live_key_required');
    },
  );

  test('a wait for it ends at once', async () => {
    for (const who of [stranger.client, confined, tester]) {
      const began = performance.now();
      const [theirs, nothing] = await Promise.all(
        [things.task_id, NEVER].map((id) => who.request('GET', `/v1/tasks/${id}?wait=30`)),
      );
      expect(theirs?.outcome).toBe('404 not_found');
      expect(visible(theirs as Answer)).toEqual(visible(nothing as Answer));
      expect(performance.now() - began).toBeLessThan(15_000);
    }
  });

  test('a cursor of its lists looks invalid', async () => {
    for (const path of ['/v1/tasks', '/v1/events', '/v1/pools', '/v1/workers', '/v1/api-keys']) {
      const { next_cursor } = await owner.client.get<{ next_cursor: string }>(`${path}?limit=1`);
      expect(next_cursor).toEqual(expect.any(String));
      for (const who of [stranger.client, confined, tester]) {
        const nothing = await who.request('GET', `${path}?limit=1&cursor=never-was`);
        expect(nothing.outcome).toBe('400 invalid_cursor');
        const theirs = await who.request('GET', `${path}?limit=1&cursor=${next_cursor}`);
        expect(visible(theirs)).toEqual(visible(nothing));
      }
    }
  });

  test('its stored responses are not replayed', async () => {
    const { task_id } = await owner.client.post<{ task_id: string }>(
      '/v1/tasks',
      taskBody({ requirements: { worker_pool_id: things.pool_id, skills: ['x'] } }),
    );
    const headers = { 'Idempotency-Key': 'the-owners' };
    const cancel = (who: Client, id: string) => who.request('POST', `/v1/tasks/${id}/cancel`, { headers });
    expect((await cancel(owner.client, task_id)).status).toBe(200);
    expect((await cancel(owner.client, task_id)).headers.get('idempotent-replayed')).toBe('true');
    for (const who of [stranger.client, confined, tester]) {
      const theirs = await cancel(who, task_id);
      expect(theirs.outcome).toBe('404 not_found');
      expect(visible(theirs)).toEqual(visible(await cancel(who, NEVER)));
    }
  });

  test('its events and evidence are hidden, also through a task of one’s own', async () => {
    for (const who of [stranger.client, tester]) {
      const { task_id } = await who.post<{ task_id: string }>('/v1/tasks', taskBody());
      const nothing = await who.request('GET', `/v1/tasks/${task_id}/evidence/${NEVER}`);
      expect(nothing.outcome).toBe('404 not_found');
      const theirs = await who.request('GET', `/v1/tasks/${task_id}/evidence/${things.evidence_id}`);
      expect(visible(theirs)).toEqual(visible(nothing));
    }
    for (const who of [stranger.client, confined, tester])
      for (const path of [
        `/v1/tasks/${things.task_id}/events`,
        `/v1/tasks/${things.task_id}/evidence/${things.evidence_id}`,
      ]) {
        const theirs = await who.request('GET', path);
        const nothing = await who.request('GET', path.replace(things.task_id ?? '', NEVER));
        expect([theirs.outcome, visible(theirs)]).toEqual(['404 not_found', visible(nothing)]);
      }
  });

  test('a filter for a pool of another org finds nothing', async () => {
    for (const who of [stranger.client, confined]) {
      const { text } = await who.request('GET', `/v1/tasks?pool=${things.pool_id}`);
      expect(JSON.parse(text).data).toEqual([]);
    }
  });

  test('a pool of another org is refused like one that does not exist', async () => {
    const creating = (pool: string | undefined, who: Client) =>
      who.request('POST', '/v1/tasks', { body: taskBody({ requirements: { worker_pool_id: pool } }) });
    const theirs = await creating(things.pool_id, confined);
    expect(theirs.outcome).toBe('403 pool_forbidden');
    expect(visible(await creating('never-was', confined))).toEqual(visible(theirs));
    const anothers = await creating(things.pool_id, stranger.client);
    expect(anothers.outcome).toBe('422 validation_failed');
    expect(visible(await creating('never-was', stranger.client))).toEqual(visible(anothers));
  });
});
