// A request whose credential is revoked between its checks and its commit has no effect. For each route that writes, the
// commit is held while its key or token is revoked, or its worker, client, member or issuer is removed, in Redis. None of
// this is done through the API: audit entries of an org are written one after the other within a process, and both APIs of
// this test are in one.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ROUTES } from '../../../src/api/routes/index.ts';
import type { Command } from '../../../src/state/tasks/command.ts';
import { loadApiKeys, replacedKeyWrites, revokeApiKey } from '../../../src/store/identity/api-keys.ts';
import { parseCredential } from '../../../src/store/identity/credential-text.ts';
import { findCredential } from '../../../src/store/identity/credentials.ts';
import { loadMember, memberWrites } from '../../../src/store/identity/members.ts';
import { loadOAuthClient, oauthClientWrites } from '../../../src/store/identity/oauth-clients.ts';
import { loadOrg, orgWrites } from '../../../src/store/identity/orgs.ts';
import { suspensionWrite } from '../../../src/store/identity/suspension.ts';
import { revokeWorkerTokens } from '../../../src/store/identity/worker-tokens.ts';
import { RedisClock } from '../../../src/store/redis/clock.ts';
import { commit, merge } from '../../../src/store/redis/commit.ts';
import type { Db } from '../../../src/store/redis/connection.ts';
import { newId } from '../../../src/store/redis/ids.ts';
import { orgKeysOf, partitionKeys } from '../../../src/store/redis/keys.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { loadWorker, workerWrites } from '../../../src/store/workers/workers.ts';
import {
  type Answer,
  type Client,
  createKey,
  createOrg,
  createPool,
  freshName,
  type Org,
  startApi,
  type TestApi,
} from '../../support/api.ts';
import { Browser } from '../../support/browser.ts';
import { accept, addTask, applyCommands, offerIdOf, offerTo, workThrough } from '../../support/db.ts';
import { freshPrefix, testRedisUrl } from '../../support/redis.ts';
import { type RedisProxy, startRedisProxy } from '../../support/redis-proxy.ts';
import { consolePage } from '../../support/web-page.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

/** A bulk action that stays pending: nothing runs it. */
const CANCEL_NOTHING = { action: 'cancel', filter: { domain: ['nothing'] } };

const URL = 'http://127.0.0.1:9/';
const ISSUER = {
  name: 'x',
  jwks_uri: 'https://id.example.com/jwks',
  scope_map: { read: ['tasks:read'] },
};
const REJECT: Command = { name: 'reject', feedback: 'no' };
/** Changes nothing. */
const READING = 'POST /v1/tasks/preview';
/** Bodies that change something; other routes get an empty one. */
const BODIES: Record<string, unknown> = {
  'POST /v1/tasks': taskBody(),
  'POST /v1/tasks/batch': { tasks: [taskBody()] },
  'POST /v1/tasks/{task_id}/review': { decision: 'approve' },
  'PATCH /v1/tasks/{task_id}': { metadata: { changed: 'yes' } },
  'POST /v1/tasks/{task_id}/requeue': { reason: 'x' },
  'POST /v1/tasks/{task_id}/assign': { worker_id: 'able', mode: 'offer' },
  'PUT /v1/task-types/{name}': { title: 'changed' },
  'PATCH /v1/worker': { availability: 'away' },
  'POST /v1/worker/tasks/{task_id}/submit': { output: 'done' },
  'POST /v1/worker/notification-channels': { kind: 'slack', url: URL },
  'PATCH /v1/worker/notification-channels/{channel_id}': { enabled: false },
  'POST /v1/worker/notification-channels/{channel_id}/confirm': { code: '000000' },
  'POST /v1/tasks/{task_id}/messages': { text: 'x' },
  'POST /v1/tasks/{task_id}/messages/read': { through: 1 },
  'POST /v1/worker/tasks/{task_id}/messages': { text: 'x' },
  'POST /v1/worker/tasks/{task_id}/report': { reason: 'unsafe' },
  'POST /v1/worker/tasks/{task_id}/dispute': { text: 'x' },
  'POST /v1/tasks/{task_id}/dispute/resolve': { decision: 'uphold' },
  'POST /v1/worker/tasks/{task_id}/messages/read': { through: 1 },
  'POST /v1/bulk-actions': CANCEL_NOTHING,
  'POST /v1/delivery-stops': { callback_url: 'https://example.com/' },
  'POST /v1/pools': { name: 'x' },
  'PATCH /v1/pools/{pool_id}': { name: 'changed' },
  'POST /v1/workers': { name: 'x' },
  'PATCH /v1/workers/{worker_id}': { name: 'changed' },
  'POST /v1/api-keys': { name: 'x', scopes: ['tasks:read'] },
  'POST /v1/oauth-clients': { name: 'x', scopes: ['tasks:read'] },
  'PATCH /v1/oauth-clients/{client_id}': { name: 'changed' },
  'POST /v1/members': { email: 'y@example.com', name: 'x', scopes: ['tasks:read'] },
  'PATCH /v1/members/{member_id}': { name: 'changed' },
  'POST /v1/issuers': { ...ISSUER, issuer: 'https://other.example.com/' },
  'PATCH /v1/org': { name: 'changed' },
  'POST /v1/webhook-endpoints': { url: URL },
  'PATCH /v1/webhook-endpoints/{endpoint_id}': { description: 'changed' },
  'POST /v1/webhook-endpoints/{endpoint_id}/replay': { since: '2020-01-01T00:00:00Z' },
};

let proxy: RedisProxy;
let direct: TestApi;
let pinched: TestApi;
let clock: RedisClock;
let org: Org;
let db: Db;
const things: Record<string, string> = {};
/** Routes that need an endpoint in another state. */
const others: Record<string, string> = {};

beforeAll(async () => {
  const same = {
    notices: { mail: { url: 'smtp://127.0.0.1:9', from: 'x@example.com' } },
    prefix: freshPrefix(),
    sealer: createSealer([randomBytes(32)]),
    webhookAllowedNetworks: ['127.0.0.0/8'],
    web: { quotas: { key: null, org: null, address: null }, publicUrl: 'own' as const },
  };
  proxy = await startRedisProxy(testRedisUrl());
  [direct, pinched] = await Promise.all([startApi(same), startApi({ ...same, redisUrl: proxy.url })]);
  org = await createOrg(direct);
  clock = new RedisClock(direct.redis);
  await clock.start();
  db = { redis: direct.redis, prefix: direct.prefix, clock };
  // With the script loaded, a commit is a single EVALSHA.
  await createPool(pinched.client(org.client.credential));
  const { client } = org;
  const make = async (path: string, body: object, id: string) => {
    things[id] = (await client.post<Record<string, string>>(path, body))[id] ?? '';
  };
  things.pool_id = await createPool(client);
  await make('/v1/bulk-actions', CANCEL_NOTHING, 'bulk_action_id');
  things.worker_id = (await createTestWorker(direct, client)).worker_id;
  things.key_id = (await createKey(direct, client, { scopes: ['tasks:read'] })).keyId;
  await make('/v1/oauth-clients', { name: 'x', scopes: ['tasks:read'] }, 'client_id');
  await make('/v1/members', { email: 'x@example.com', name: 'x', scopes: ['tasks:read'] }, 'member_id');
  // What the routes that sign out end.
  await client.post(`/v1/workers/${things.worker_id}/sign-in-links`);
  await consolePage(direct, org.org_id, things.member_id ?? '');
  await make('/v1/issuers', { ...ISSUER, issuer: 'https://id.example.com/' }, 'issuer_id');
  await make('/v1/webhook-endpoints', { url: URL }, 'endpoint_id');
  const path = `/v1/webhook-endpoints/${things.endpoint_id}`;
  await client.post(`${path}/test`);
  const { data } = await client.get<{ data: { delivery_id: string }[] }>(`${path}/deliveries`);
  things.delivery_id = data[0]?.delivery_id ?? '';
  others.enable = (
    await client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', { url: URL, enabled: false })
  ).endpoint_id;
  others.replayed = (
    await client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', { url: URL })
  ).endpoint_id;
  const [queued, submitted] = [
    await addTask(db, org.org_id),
    await addTask(db, org.org_id, { review: { mode: 'manual' } }),
  ];
  things.task_id = queued.task_id;
  await client.post('/v1/workers', { worker_id: 'able', name: 'x', availability: 'available' });
  await client.request('PUT', '/v1/task-types/known', { body: { title: 'x' } });
  things.name = 'known';
  const { worker_id } = await createTestWorker(direct, client);
  await workThrough(db, await offerTo(db, submitted, [worker_id]), worker_id);
  await applyCommands(db, submitted, messageOf('worker', worker_id));
  others.submitted = submitted.task_id;
  const worked = await workThrough(
    db,
    await offerTo(db, await addTask(db, org.org_id), [worker_id]),
    worker_id,
  );
  await applyCommands(db, worked, REJECT, { name: 'dispute', worker_id, text: 'x' });
  others.disputed = worked.task_id;
  await make(
    `/v1/webhook-endpoints/${others.replayed}/replay`,
    { since: '2020-01-01T00:00:00Z' },
    'replay_id',
  );
}, 30_000);

afterAll(async () => {
  clock.stop();
  await Promise.all([direct.close(), pinched.close()]);
  await proxy.close();
});

async function redelivery(): Promise<string> {
  return (await org.client.post<{ redelivery_id: string }>('/v1/dead-letters/redeliver', {})).redelivery_id;
}

async function deliveryStop(): Promise<string> {
  const body = { callback_url: 'https://example.com/' };
  return (await org.client.post<{ stop_id: string }>('/v1/delivery-stops', body)).stop_id;
}

/** Everything that the routes can change, except for what the revoked key itself causes. */
async function everything(): Promise<unknown[]> {
  const lists = ['pools', 'workers', 'oauth-clients', 'members', 'issuers', 'webhook-endpoints', 'api-keys'];
  const paths = [
    ...lists,
    'bulk-actions',
    'dead-letters/redeliveries',
    'delivery-stops',
    'org',
    'webhook-secret',
    `members/${things.member_id}/sessions`,
    `webhook-endpoints/${things.endpoint_id}/replays`,
    `webhook-endpoints/${others.replayed}/replays`,
    `webhook-endpoints/${things.endpoint_id}/deliveries`,
  ];
  const keys = orgKeysOf(direct.prefix, org.org_id);
  const [outbox, ...shown] = await Promise.all([
    direct.redis.xlen(keys.outbox),
    direct.redis.scard(keys.workerTokens(things.worker_id ?? '')),
    direct.redis.zcard(keys.signInLinks(`worker:${things.worker_id}`)),
    direct.redis.xlen(keys.feed),
    ...paths.map(async (path) => (await org.client.request('GET', `/v1/${path}`)).text),
  ]);
  // `last_used_at` is written late, and other tests create and remove keys.
  return [outbox, ...shown].map((one) =>
    String(one)
      .replaceAll(/"last_used_at":[^,}]*/g, '')
      .replaceAll(/"usage":\{.*?\}\}/g, ''),
  );
}

const KEY_ROUTES = ROUTES.filter(({ access, method }) => access.kind === 'scope' && method !== 'GET')
  .map((route) => ({ name: `${route.method} ${route.path}`, route }))
  .filter(({ name }) => name !== READING);

/** Sends a request, holds it at its commit, and releases it after `meanwhile`. */
async function caught(request: () => Promise<Answer>, meanwhile: () => Promise<unknown>): Promise<Answer> {
  const { held, release } = proxy.hold('evalsha');
  const answer = request();
  const first = await Promise.race([held, answer]);
  if (first !== undefined) throw new Error(`answered ${first.outcome} without a commit`);
  await meanwhile();
  release();
  return answer;
}

test.each(KEY_ROUTES)(
  '$name has no effect when the key is revoked before the commit',
  async ({ name, route }) => {
    const key = await createKey(direct, org.client);
    const near = pinched.client(key.credential);
    await near.get('/v1/org');
    const revoke = async () => {
      const [listed] = await loadApiKeys(db, org.org_id, [key.keyId]);
      if (listed == null) throw new Error('no key');
      expect(await commit(db.redis, revokeApiKey(db, listed.key))).toBe(true);
    };
    // An org has one redelivery at a time, so it is started after the test of the route that starts one.
    if (name.includes('{redelivery_id}')) things.redelivery_id = await redelivery();
    if (name.includes('{stop_id}')) things.stop_id = await deliveryStop();
    const path = route.path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => {
      if (/\/(review|read|requeue)$/.test(name)) return others.submitted ?? '';
      if (name.endsWith('/dispute/resolve')) return others.disputed ?? '';
      if (parameter !== 'endpoint_id') return things[parameter] ?? '';
      if (name.endsWith('/enable')) return others.enable ?? '';
      return (name.endsWith('/cancel') ? others.replayed : things.endpoint_id) ?? '';
    });
    const body = BODIES[name] ?? (route.body === undefined ? undefined : {});
    const before = await everything();
    const keyless = (shown: string[]) =>
      shown.map((one) => one.replace(new RegExp(`\\{[^{}]*"key_id":"${key.keyId}"[^{}]*\\},?`), ''));
    const request = () => near.request(route.method, path, body === undefined ? {} : { body });
    const answer = await caught(request, revoke);
    if (name === 'POST /v1/tasks/batch')
      // Each task of a batch is answered by itself.
      expect(answer.as<{ results: object[] }>().results).toMatchObject([{ status: 401 }]);
    else expect(answer.outcome).toBe('401 invalid_credential');
    expect(keyless((await everything()) as string[])).toEqual(keyless(before as string[]));
  },
);

const WORKER_ROUTES = ROUTES.filter(({ access, method }) => access.kind === 'worker' && method !== 'GET').map(
  (route) => ({ name: `${route.method} ${route.path}`, route }),
);

function messageOf(kind: 'worker' | 'requester', id: string): Command {
  const message_id = newId(clock.now());
  return { name: 'message', message_id, author: { kind, id }, text: 'x', is_question: false, answers: null };
}

/** Evidence of a task that the worker has started. */
async function evidenceOf(taskId: string, client: Client): Promise<string> {
  const upload = { raw: 'bytes', headers: { 'Content-Type': 'text/plain' } };
  const path = `/v1/worker/tasks/${taskId}/evidence?name=a.txt`;
  return (await client.post<{ evidence_id: string }>(path, undefined, upload)).evidence_id;
}

/** A notification channel of the worker, as the route takes it: only an e-mail address is confirmed. */
async function channelFor(name: string, client: Client): Promise<string> {
  const isConfirmed = /(confirm|send-code)$/.test(name);
  const channel = isConfirmed ? { kind: 'email', address: 'x@example.com' } : { kind: 'slack', url: URL };
  return (await client.post<{ channel_id: string }>('/v1/worker/notification-channels', channel)).channel_id;
}

/** A task of the worker, as the route takes it. */
async function taskFor(name: string, worker_id: string): Promise<{ task_id: string; offer_id: string }> {
  const offered = await offerTo(db, await addTask(db, org.org_id), [worker_id]);
  const ids = { task_id: offered.task_id, offer_id: offerIdOf(offered, worker_id) };
  if (!name.includes('/tasks/')) return ids;
  if (name.endsWith('/dispute')) {
    await applyCommands(db, await workThrough(db, offered, worker_id), REJECT);
    return ids;
  }
  const accepted = await accept(db, offered, worker_id);
  if (!name.endsWith('/start')) await applyCommands(db, accepted, { name: 'start', worker_id });
  if (name.endsWith('/read')) await applyCommands(db, accepted, messageOf('requester', 'api_key:1'));
  return ids;
}

/** Suspends the org, as the operator does, or ends that. */
async function setSuspended(isSuspended: boolean): Promise<void> {
  const before = await loadOrg(db, org.org_id);
  if (before === null) throw new Error('no org');
  const { suspension: _, ...rest } = before;
  const suspension = isSuspended ? { suspension: { at: clock.now(), reason: null } } : {};
  const after = { ...rest, ...suspension, version: before.version + 1 };
  const mark = { guards: [], writes: [suspensionWrite(db, after)] };
  expect(await commit(db.redis, merge(orgWrites(db, before.version, after), mark))).toBe(true);
}

/** Ends a suspension, and what the processes of the test know of it. */
async function resume(): Promise<void> {
  await setSuspended(false);
  // Each changes the org's rules, so both processes load them again.
  for (const { operator } of [direct, pinched])
    await operator.patch(`/admin/orgs/${org.org_id}`, { name: freshName('org') });
}

describe.each(WORKER_ROUTES)('$name has no effect', ({ name, route }) => {
  test.each(['the token is revoked', 'the worker is removed', 'the org is suspended'])(
    'when %s before the commit',
    async (what) => {
      const { worker_id, client } = await createTestWorker(direct, org.client);
      const ids: Record<string, string> = await taskFor(name, worker_id);
      if (name.includes('{evidence_id}')) ids.evidence_id = await evidenceOf(ids.task_id ?? '', client);
      if (name.includes('{channel_id}')) ids.channel_id = await channelFor(name, client);
      const near = pinched.client(client.credential);
      await near.get('/v1/worker');
      const keys = orgKeysOf(direct.prefix, org.org_id);
      const seen = () =>
        Promise.all([
          direct.redis.hgetall(keys.task(ids.task_id ?? '')),
          direct.redis.hgetall(keys.evidence(ids.task_id ?? '')),
          direct.redis.hgetall(keys.draft(ids.task_id ?? '')),
          direct.redis.hgetall(keys.worker(worker_id)),
          direct.redis.hgetall(keys.notificationChannels(worker_id)),
          direct.redis.xlen(keys.outbox),
        ]);
      let before: unknown;
      const isSuspension = what === 'the org is suspended';
      const revoke = async () => {
        if (isSuspension) {
          await setSuspended(true);
          before = await seen();
          return;
        }
        const worker = await loadWorker(db, org.org_id, worker_id);
        const tokens = await revokeWorkerTokens(db, org.org_id, worker_id);
        const gone =
          what === 'the worker is removed' ? merge(workerWrites(db, worker, null), tokens) : tokens;
        expect(await commit(db.redis, gone)).toBe(true);
        before = await seen();
      };
      const path = route.path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => ids[parameter] ?? '');
      const body = BODIES[name] ?? (route.body === undefined ? undefined : {});
      const request = () =>
        route.reader === undefined
          ? near.request(route.method, path, body === undefined ? {} : { body })
          : near.request(route.method, `${path}?name=a.txt`, {
              raw: 'bytes',
              headers: { 'Content-Type': 'text/plain' },
            });
      const answer = await caught(request, revoke);
      const after = await seen();
      if (isSuspension) await resume();
      expect(answer.outcome).toBe(isSuspension ? '403 org_suspended' : '401 invalid_credential');
      expect(after).toEqual(before);
    },
  );
});

const SCOPES = ['tasks:create', 'tasks:cancel', 'org:read'];

/** An access token that an OAuth client requests for itself. */
async function clientToken() {
  const made = await org.client.post<{ client_id: string; client_secret: string }>('/v1/oauth-clients', {
    name: 'x',
    scopes: SCOPES,
  });
  const { access_token } = await oauth.clientCredentialsGrant(await discover(made));
  return { client_id: made.client_id, token: access_token };
}

function discover({ client_id, client_secret }: { client_id: string; client_secret: string }) {
  return oauth.discovery(new globalThis.URL(direct.url), client_id, client_secret, undefined, {
    algorithm: 'oauth2',
    execute: [oauth.allowInsecureRequests],
  });
}

/** An access token that a member grants to an OAuth client. */
async function memberToken() {
  const redirect_uri = 'http://127.0.0.1:9/callback';
  const [email, password] = [`${randomBytes(8).toString('hex')}@example.com`, 'correct horse battery'];
  const [made, { member_id }] = await Promise.all([
    org.client.post<{ client_id: string; client_secret: string }>('/v1/oauth-clients', {
      name: 'x',
      scopes: SCOPES,
      grant_types: ['authorization_code'],
      redirect_uris: [redirect_uri],
    }),
    org.client.post<{ member_id: string }>('/v1/members', { email, name: 'x', password, scopes: SCOPES }),
  ]);
  const config = await discover(made);
  const pkceCodeVerifier = oauth.randomPKCECodeVerifier();
  const { href } = oauth.buildAuthorizationUrl(config, {
    redirect_uri,
    code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    scope: SCOPES.join(' '),
  });
  const back = await new Browser(direct.url).through(href, email, password);
  const { access_token } = await oauth.authorizationCodeGrant(config, back, { pkceCodeVerifier });
  return { client_id: made.client_id, member_id, token: access_token };
}

/** An access token of an issuer that the org trusts. */
async function issuerToken() {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }];
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys }));
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : null;
  const issuer = `https://${randomBytes(8).toString('hex')}.example.com/`;
  const { issuer_id, audience } = await org.client.post<{ issuer_id: string; audience: string }>(
    '/v1/issuers',
    { name: 'x', issuer, jwks_uri: `http://127.0.0.1:${port}/`, scope_map: { all: SCOPES } },
  );
  const token = await new SignJWT({ iss: issuer, aud: audience, sub: 'x', scope: 'all' })
    .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'at+jwt' })
    .setExpirationTime('5 min')
    .sign(privateKey);
  return { issuer_id, token };
}

/** Removes the record of a token itself, as its revocation does. */
function revokeToken(token: string): Promise<number> {
  const where = parseCredential(token);
  if (where === null) throw new Error('no credential of BioLayer');
  return db.redis.del(partitionKeys(db.prefix, where.partition).credential(where.hash));
}

/** Each makes a token, and what ends it. */
const TOKENS: Record<string, () => Promise<{ token: string; end(): Promise<unknown> }>> = {
  'the token of an OAuth client is revoked': async () => {
    const { token } = await clientToken();
    return { token, end: () => revokeToken(token) };
  },
  'the OAuth client of a token is removed': async () => {
    const { client_id, token } = await clientToken();
    const end = async () => {
      const client = await loadOAuthClient(db, client_id);
      expect(await commit(db.redis, oauthClientWrites(db, client, null))).toBe(true);
    };
    return { token, end };
  },
  'the member of a token is disabled': async () => {
    const { member_id, token } = await memberToken();
    const end = async () => {
      const member = await loadMember(db, org.org_id, member_id);
      if (member === null) throw new Error('no member');
      const after = { ...member, version: member.version + 1, disabled: true };
      expect(await commit(db.redis, memberWrites(db, member, after))).toBe(true);
    };
    return { token, end };
  },
  'the grant of a token is withdrawn': async () => {
    const { token } = await memberToken();
    const stored = parseCredential(token);
    const found = stored === null ? null : await findCredential(db, stored);
    if (found?.kind !== 'oauth_token') throw new Error('no token');
    return { token, end: () => db.redis.del(orgKeysOf(db.prefix, org.org_id).oauth(`Grant:${found.grant}`)) };
  },
  'the issuer of a token is removed': async () => {
    const { issuer_id, token } = await issuerToken();
    return { token, end: () => db.redis.del(orgKeysOf(db.prefix, org.org_id).issuer(issuer_id)) };
  },
};

describe.each(['POST /v1/tasks', 'POST /v1/tasks/{task_id}/cancel'])('%s has no effect', (name) => {
  test.each(Object.entries(TOKENS))('when %s before the commit', async (_what, make) => {
    const { token, end } = await make();
    const { task_id } = await addTask(db, org.org_id);
    const near = pinched.client(token);
    await near.get('/v1/org');
    const keys = orgKeysOf(direct.prefix, org.org_id);
    const seen = () =>
      Promise.all([direct.redis.hgetall(keys.task(task_id)), direct.redis.xlen(keys.outbox)]);
    const before = await seen();
    const [method = '', path = ''] = name.replace('{task_id}', task_id).split(' ');
    const body = BODIES[name];
    const request = () => near.request(method, path, body === undefined ? {} : { body });
    expect((await caught(request, end)).outcome).toBe('401 invalid_credential');
    expect(await seen()).toEqual(before);
  });
});

describe('no effect has', () => {
  const callers: Record<string, () => Promise<string>> = {
    'a key': async () => (await createKey(direct, org.client)).credential ?? '',
    'a token of an OAuth client': async () => (await clientToken()).token,
    'a token of a member': async () => (await memberToken()).token,
    'a token of an issuer': async () => (await issuerToken()).token,
  };
  const cases = ['POST /v1/tasks', 'POST /v1/tasks/{task_id}/cancel', 'POST /v1/pools'];
  test.each(Object.entries(callers))('%s whose org is suspended before the commit', async (who, make) => {
    const near = pinched.client(await make());
    const { task_id } = await addTask(db, org.org_id);
    const keys = orgKeysOf(direct.prefix, org.org_id);
    const seen = () =>
      Promise.all([
        direct.redis.hgetall(keys.task(task_id)),
        direct.redis.xlen(keys.outbox),
        direct.redis.zcard(keys.index('pools')),
      ]);
    const before = await seen();
    // The scopes of the tokens do not include those of pools.
    for (const name of who === 'a key' ? cases : cases.slice(0, 2)) {
      await near.get('/v1/org');
      const [method = '', path = ''] = name.replace('{task_id}', task_id).split(' ');
      const body = BODIES[name];
      const request = () => near.request(method, path, body === undefined ? {} : { body });
      const answer = await caught(request, () => setSuspended(true));
      expect(await seen()).toEqual(before);
      await resume();
      expect([name, answer.outcome]).toEqual([name, '403 org_suspended']);
    }
  });
});

test('a key that is rotated before the commit of a task still creates it', async () => {
  const key = await createKey(direct, org.client);
  const near = pinched.client(key.credential);
  await near.get('/v1/org');
  const answer = await caught(
    () => near.request('POST', '/v1/tasks', { body: taskBody() }),
    async () => {
      const [listed] = await loadApiKeys(db, org.org_id, [key.keyId]);
      if (listed == null) throw new Error('no key');
      const by = { key_id: 'another', expiresAt: clock.now() + 60_000 };
      expect(await commit(db.redis, replacedKeyWrites(db, listed.key, by))).toBe(true);
    },
  );
  expect(answer.outcome).toBe('201');
});

test('a request has no effect when its address leaves the allowlist before the commit', async () => {
  const near = pinched.client(org.client.credential);
  const request = () => near.request('POST', '/v1/pools', { body: { pool_id: 'never', name: 'x' } });
  const answer = await caught(request, async () => {
    const before = await loadOrg(db, org.org_id);
    if (before === null) throw new Error('no org');
    const after = { ...before, version: before.version + 1, ip_allowlist: ['192.0.2.0/24'] };
    expect(await commit(db.redis, orgWrites(db, before.version, after))).toBe(true);
  });
  expect(answer.outcome).toBe('403 ip_not_allowed');
  await direct.operator.patch(`/admin/orgs/${org.org_id}`, { ip_allowlist: [] });
  expect((await org.client.request('GET', '/v1/pools/never')).outcome).toBe('404 not_found');
});
