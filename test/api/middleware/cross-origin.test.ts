// Headers for browsers: CORS and Strict-Transport-Security.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, createOrg, startApi, type TestApi } from '../../support/api.ts';

const LISTED = 'https://app.example';

let api: TestApi;
let closed: TestApi;
let client: Client;
beforeAll(async () => {
  [api, closed] = await Promise.all([
    startApi({ web: { corsOrigins: [LISTED], trustedProxies: ['127.0.0.0/8'] } }),
    startApi(),
  ]);
  client = (await createOrg(api)).client;
});
afterAll(() => Promise.all([api.close(), closed.close()]));

const preflight = (who: Client, Origin: string) =>
  who.request('OPTIONS', '/v1/tasks', { headers: { Origin, 'Access-Control-Request-Method': 'POST' } });
const about = (headers: Headers) => [...headers.keys()].filter((name) => name.startsWith('access-control-'));

test('a listed origin may call, gets a preflight answer, and reads the exposed headers', async () => {
  const before = await preflight(api.client(null), LISTED);
  expect(before.status).toBe(204);
  expect(before.headers.get('access-control-allow-origin')).toBe(LISTED);
  expect(before.headers.get('access-control-allow-methods')).toContain('POST');
  expect(before.headers.get('access-control-allow-headers')).toContain('Idempotency-Key');
  expect(before.headers.get('access-control-allow-credentials')).toBeNull();
  for (const who of [client, api.client('bad')]) {
    const { headers } = await who.request('GET', '/v1/tasks', { headers: { Origin: LISTED } });
    expect(headers.get('access-control-allow-origin')).toBe(LISTED);
    expect(headers.get('access-control-expose-headers')).toContain('Request-Id');
    expect(headers.get('vary')).toContain('Origin');
  }
});

test.each(['https://evil.example', 'null', 'http://app.example', 'https://app.example.evil', '*'])(
  'a page of %s gets no CORS headers',
  async (Origin) => {
    const before = await preflight(api.client(null), Origin);
    expect(before.headers.get('allow')).toContain('POST');
    const { headers, status } = await client.request('GET', '/v1/tasks', { headers: { Origin } });
    expect(status).toBe(200);
    expect([...about(before.headers), ...about(headers)]).toEqual([]);
  },
);

test('without a list no response has CORS headers', async () => {
  const before = await preflight(closed.client(null), LISTED);
  const { headers } = await closed.client(null).request('GET', '/livez', { headers: { Origin: LISTED } });
  expect([...about(before.headers), ...about(headers)]).toEqual([]);
});

test('every response forbids sniffing, framing and sharing; HSTS is set behind a TLS proxy', async () => {
  for (const [path, proto, hsts] of [
    ['/v1/tasks', 'https', 'max-age=31536000; includeSubDomains'],
    ['/nowhere', 'https', 'max-age=31536000; includeSubDomains'],
    ['/livez', 'http', null],
  ] as const) {
    const { headers } = await client.request('GET', path, { headers: { 'X-Forwarded-Proto': proto } });
    expect(headers.get('strict-transport-security')).toBe(hsts);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
  }
  const direct = await closed
    .client(null)
    .request('GET', '/livez', { headers: { 'X-Forwarded-Proto': 'https' } });
  expect(direct.headers.get('strict-transport-security')).toBeNull();
});
