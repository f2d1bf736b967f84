// Access tokens of external issuers, made with jose and keys that the test serves over a real socket: accepted tokens,
// their scopes, and every reason for rejection.
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JwksCache } from '../../../src/api/oauth/jwks.ts';
import { createAddressPolicy } from '../../../src/state/webhooks/callback-url.ts';
import {
  createKey,
  createOrg,
  createPool,
  type Org,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { taskBody } from '../../support/workers.ts';

const ISS = 'https://id.example.com/';

let api: TestApi;
let org: Org;
let stranger: Org;
let keys: { private: CryptoKey; public: JWK };
let others: { private: CryptoKey; public: JWK };
let server: Server;
let jwks: JWK[];
let fetched = 0;
let uri: string;
let registration: { issuer_id: string; audience: string };

async function keyPair(kid: string) {
  const pair = await generateKeyPair('ES256', { extractable: true });
  return {
    private: pair.privateKey,
    public: { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' },
  };
}

beforeAll(async () => {
  [keys, others] = [await keyPair('one'), await keyPair('two')];
  jwks = [keys.public];
  server = createServer((_request, response) => {
    fetched += 1;
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ keys: jwks }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  api = await startApi({ webhookAllowedNetworks: ['127.0.0.1/32'] });
  [org, stranger] = [await createOrg(api), await createOrg(api)];
  registration = await register(org);
});

afterAll(async () => {
  await api.close();
  server.close();
});

function register(by: Org, fields: Record<string, unknown> = {}) {
  return by.client.post<{ issuer_id: string; audience: string }>('/v1/issuers', body(fields));
}

function body(fields: Record<string, unknown> = {}) {
  const scope_map = { write: ['tasks:create', 'tasks:read'], read: ['tasks:read'] };
  return { name: 'Own', issuer: ISS, jwks_uri: uri, scope_map, ...fields };
}

interface Change {
  claims?: JWTPayload;
  header?: Record<string, unknown>;
  key?: CryptoKey | Uint8Array;
}

function token({ claims = {}, header = {}, key = keys.private }: Change = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const payload = {
    iss: ISS,
    aud: registration.audience,
    sub: 'robot 7',
    scope: 'write',
    iat: now,
    exp: now + 300,
    ...claims,
  };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'at+jwt', ...header })
    .sign(key);
}

async function create(text: string, task = taskBody()) {
  return api.client(text).request('POST', '/v1/tasks', { body: task });
}

test('a token of a registered issuer creates a task, and the history names its subject', async () => {
  expect(registration.audience).toBe(`urn:biolayer:org:${org.org_id}`);
  const answer = await create(await token());
  expect(answer.outcome).toBe('201');
  const { task_id, org_id } = answer.as<TaskView>();
  expect(org_id).toBe(org.org_id);
  const { data } = await org.client.get<{ data: { actor: string }[] }>(`/v1/tasks/${task_id}/events`);
  expect(data[0]?.actor).toBe(`issuer:${registration.issuer_id}:robot?7`);
});

test.each([
  ['a value that allows less', { scope: 'read' }, '403 insufficient_scope'],
  ['values in a list', { scope: ['read', 'write'] }, '201'],
  ['values in one text', { scope: 'x read write' }, '201'],
  ['a value that the map does not have', { scope: 'tasks:create' }, '403 insufficient_scope'],
  ['a name that every object has', { scope: 'constructor' }, '403 insufficient_scope'],
  ['no claim', { scope: undefined }, '403 insufficient_scope'],
  ['a claim that is no text', { scope: { write: true } }, '403 insufficient_scope'],
  ['one audience among several', { aud: ['https://other.example', 'AUD'] }, '201'],
])('%s', async (_name, claims, outcome) => {
  const aud =
    'aud' in claims ? { aud: claims.aud.map((one) => (one === 'AUD' ? registration.audience : one)) } : {};
  expect((await create(await token({ claims: { ...claims, ...aud } as JWTPayload }))).outcome).toBe(outcome);
});

const now = () => Math.floor(Date.now() / 1000);
test.each<[string, () => Promise<string> | string]>([
  [
    'alg none',
    () =>
      new UnsecuredJWT({
        iss: ISS,
        aud: registration.audience,
        sub: 'x',
        scope: 'write',
        exp: now() + 300,
      }).encode(),
  ],
  [
    'alg none with the right type',
    async () => {
      const [, claims] = (await token()).split('.');
      return `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt', kid: 'one' })).toString('base64url')}.${claims}.`;
    },
  ],
  [
    'a public key taken for a shared secret',
    () => token({ header: { alg: 'HS256' }, key: Buffer.from(JSON.stringify(keys.public)) }),
  ],
  ['no signature', async () => (await token()).replace(/[^.]+$/, '')],
  ['another signature', async () => `${(await token()).slice(0, -4)}AAAA`],
  [
    'claims changed after signing',
    async () => {
      const [header, , signature] = (await token()).split('.');
      const [, claims] = (await token({ claims: { sub: 'admin' } })).split('.');
      return [header, claims, signature].join('.');
    },
  ],
  ["another's key", () => token({ key: others.private })],
  ["another's key under its own name", () => token({ key: others.private, header: { kid: 'two' } })],
  [
    'a key that the token brings along',
    () => token({ key: others.private, header: { kid: 'x', jwk: others.public } }),
  ],
  ['keys from where the token says', () => token({ key: others.private, header: { kid: 'x', jku: uri } })],
  ['another issuer', () => token({ claims: { iss: 'https://evil.example/' } })],
  ['another audience', () => token({ claims: { aud: 'https://other.example' } })],
  ["another org's audience", () => token({ claims: { aud: `urn:biolayer:org:${stranger.org_id}` } })],
  ['no audience', () => token({ claims: { aud: undefined as unknown as string } })],
  ['an ID token', () => token({ header: { typ: 'JWT' } })],
  ['no type', () => token({ header: { typ: undefined } })],
  ['expired', () => token({ claims: { exp: now() - 60 } })],
  ['no end', () => token({ claims: { exp: undefined as unknown as number } })],
  ['an end that is no number', () => token({ claims: { exp: '9999999999' as unknown as number } })],
  ['not yet valid', () => token({ claims: { nbf: now() + 600 } })],
  ['no subject', () => token({ claims: { sub: undefined as unknown as string } })],
  [
    'a critical extension',
    () =>
      token({ header: { crit: ['exp'], exp: 1 } }).catch(async () =>
        (await token()).replace(
          /^[^.]+/,
          Buffer.from('{"alg":"ES256","crit":["x"],"x":1,"typ":"at+jwt","kid":"one"}').toString('base64url'),
        ),
      ),
  ],
  ['too long', () => token({ claims: { padding: 'x'.repeat(9000) } })],
])('refused: %s', async (_name, make) => {
  expect((await create(await make())).outcome).toBe('401 invalid_credential');
});

describe('two orgs with outside issuers', () => {
  test('can trust one issuer, and a token gives access only to the org it names', async () => {
    const theirs = await register(stranger);
    expect((await create(await token())).as<TaskView>().org_id).toBe(org.org_id);
    expect((await create(await token({ claims: { aud: theirs.audience } }))).as<TaskView>().org_id).toBe(
      stranger.org_id,
    );
    // A token that names two registrations is rejected.
    const both = await token({ claims: { aud: [registration.audience, theirs.audience] } });
    expect((await create(both)).outcome).toBe('401 invalid_credential');
  });

  test('can register the same pair, and the token names its org', async () => {
    const audience = 'https://api.example.com';
    const [squatted, rightful] = [await register(stranger, { audience }), await register(org, { audience })];
    expect(squatted.issuer_id).not.toBe(rightful.issuer_id);
    const aimed = (biolayer_org?: unknown, aud: string | string[] = audience) =>
      token({ claims: { aud, ...(biolayer_org !== undefined && { biolayer_org }) } as JWTPayload });
    for (const by of [org, stranger])
      expect((await create(await aimed(by.org_id))).as<TaskView>().org_id).toBe(by.org_id);
    // Without a name it is for nobody, though one org alone had registered the pair.
    const refused = [
      await aimed(),
      await aimed(randomUUID()),
      await aimed([org.org_id]),
      await aimed({ id: org.org_id }),
      await aimed(org.org_id.toUpperCase()),
      await aimed(`${org.org_id} `),
      await aimed(`${stranger.org_id},${org.org_id}`),
      // The audience names one org and the claim another.
      await aimed(stranger.org_id, registration.audience),
    ];
    for (const text of refused) expect((await create(text)).outcome).toBe('401 invalid_credential');
    const twice = await org.client.request('POST', '/v1/issuers', { body: body({ audience }) });
    expect(twice.outcome).toBe('409 already_exists');
    await org.client.delete(`/v1/issuers/${rightful.issuer_id}`);
    expect((await create(await aimed(org.org_id))).outcome).toBe('401 invalid_credential');
    expect((await create(await aimed(stranger.org_id))).outcome).toBe('201');
    await register(org, { audience });
    expect((await create(await aimed(org.org_id))).outcome).toBe('201');
  });

  test('cannot register an audience that names the other org', async () => {
    const stolen = await stranger.client.request('POST', '/v1/issuers', {
      body: body({ audience: registration.audience }),
    });
    expect([stolen.status, stolen.problem.errors?.[0]?.pointer]).toEqual([422, '/audience']);
    // In another form it names an org too, and never lets into the one that registered it.
    const audience = `https://api.example.com/orgs/${org.org_id}`;
    await register(stranger, { audience });
    expect((await create(await token({ claims: { aud: audience } }))).outcome).toBe('401 invalid_credential');
    await register(org, { audience });
    expect((await create(await token({ claims: { aud: audience } }))).as<TaskView>().org_id).toBe(org.org_id);
  });

  test('that register one pair at once get one complete registration each, in their own log only', async () => {
    const audience = 'https://racing.example.com';
    const asked = await Promise.all(
      [org, org, org, stranger, stranger].map((by) =>
        by.client.request('POST', '/v1/issuers', { body: body({ audience }) }),
      ),
    );
    expect(asked.map((one) => one.outcome).sort()).toEqual([
      '201',
      '201',
      '409 already_exists',
      '409 already_exists',
      '409 already_exists',
    ]);
    for (const by of [org, stranger])
      expect(
        (await create(await token({ claims: { aud: audience, biolayer_org: by.org_id } }))).outcome,
      ).toBe('201');
  });
});

test('removing a registration ends its tokens at once', async () => {
  const audience = 'urn:short';
  const { issuer_id } = await register(org, { audience, pools: ['*'] });
  const text = await token({ claims: { aud: audience, biolayer_org: org.org_id } });
  expect((await create(text)).outcome).toBe('201');
  await org.client.delete(`/v1/issuers/${issuer_id}`);
  expect((await create(text)).outcome).toBe('401 invalid_credential');
});

test('pools of an issuer confine its tokens, and a caller cannot register more than it has', async () => {
  const pool = await createPool(org.client);
  await register(org, { audience: 'urn:pool', pools: [pool] });
  const text = await token({ claims: { aud: 'urn:pool', biolayer_org: org.org_id } });
  expect((await create(text)).outcome).toBe('403 pool_forbidden');
  expect((await create(text, taskBody({ requirements: { worker_pool_id: pool } }))).outcome).toBe('201');
  const small = await createKey(api, org.client, { scopes: ['oauth:write', 'tasks:read'] });
  const more = await small.request('POST', '/v1/issuers', { body: body({ audience: 'urn:more' }) });
  expect(more.outcome).toBe('403 insufficient_scope');
});

test.each([
  ['http://10.0.0.1/jwks', '/jwks_uri'],
  ['https://169.254.169.254/jwks', '/jwks_uri'],
  ['file:///etc/passwd', '/jwks_uri'],
])('keys at %s are not fetched', async (jwks_uri, pointer) => {
  const answer = await org.client.request('POST', '/v1/issuers', {
    body: body({ jwks_uri, audience: 'urn:x' }),
  });
  expect([answer.status, answer.problem.errors?.[0]?.pointer]).toEqual([422, pointer]);
});

test('returns 503 with Retry-After when the keys of a token cannot be fetched', async () => {
  const gone = createServer();
  await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
  const { port } = gone.address() as AddressInfo;
  gone.close();
  const iss = 'https://down.example.com/';
  const { audience } = await register(org, { issuer: iss, jwks_uri: `http://127.0.0.1:${port}/jwks` });
  const answer = await create(await token({ claims: { iss, aud: audience } }));
  expect([answer.outcome, answer.headers.get('retry-after')]).toEqual([
    '503 unavailable',
    expect.any(String),
  ]);
});

test('keys are fetched once for many tokens, again for a new key id, and not for each unknown one', async () => {
  const cache = new JwksCache(createAddressPolicy(['127.0.0.1/32']));
  fetched = 0;
  await Promise.all(Array.from({ length: 50 }, () => cache.keysOf(uri)));
  expect(fetched).toBe(1);
  for (let tries = 0; tries < 20; tries += 1) await cache.keysOf(uri, true);
  expect(fetched).toBe(1);
});

test.each<[string, (response: import('node:http').ServerResponse) => void]>([
  ['a redirect', (response) => void response.writeHead(302, { Location: uri }).end()],
  [
    'too much',
    (response) => void response.end(JSON.stringify({ keys: [keys?.public], padding: 'x'.repeat(300_000) })),
  ],
  ['too many keys', (response) => void response.end(JSON.stringify({ keys: Array(101).fill(keys.public) }))],
  ['no JSON', (response) => void response.end('<html>')],
  ['nothing in time', () => undefined],
])('keys are not accepted from a response that is %s', async (_name, answer) => {
  const bad = createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => bad.listen(0, '127.0.0.1', resolve));
  const started = performance.now();
  const cache = new JwksCache(createAddressPolicy(['127.0.0.1/32']));
  expect(await cache.keysOf(`http://127.0.0.1:${(bad.address() as AddressInfo).port}/`)).toBeNull();
  expect(performance.now() - started).toBeLessThan(3000);
  bad.closeAllConnections();
  bad.close();
});
