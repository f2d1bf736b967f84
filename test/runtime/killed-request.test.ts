// A web process is killed while it runs a request with an Idempotency-Key: a retry at another process runs soon, and once.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { startProcess } from '../support/processes.ts';
import { startRedisProxy } from '../support/redis-proxy.ts';
import { taskBody } from '../support/workers.ts';

vi.setConfig({ testTimeout: 60_000 });

const SECRETS_KEY = randomBytes(32).toString('base64');
const OPERATOR_TOKEN = 'operator-token-of-the-test';

interface Answer {
  status: number;
  json: { api_key: string; code?: string; data: unknown[] };
}

let redis: OwnRedis;
let dir: string;
beforeAll(async () => {
  redis = await startOwnRedis();
  dir = await mkdtemp(join(tmpdir(), 'biolayer-killed-'));
});
afterAll(async () => {
  await redis.stop();
  await rm(dir, { recursive: true });
});

test('a retry of a request whose process was killed waits for at most three seconds', async () => {
  const proxy = await startRedisProxy(redis.url);
  const start = (REDIS_URL: string) =>
    startProcess(process.execPath, ['dist/src/web.js'], {
      REDIS_URL,
      SECRETS_KEY,
      OPERATOR_TOKEN,
      PORT: '0',
      EVIDENCE_STORE: dir,
    });
  const [doomed, other] = [start(proxy.url), start(redis.url)];
  const [{ url: near = '' }, { url: far = '' }] = await Promise.all([doomed.ready, other.ready]);
  const send = async (url: string, path: string, token: string, body?: object): Promise<Answer> => {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': 'the-key',
    };
    const method = body === undefined ? 'GET' : 'POST';
    const response = await fetch(url + path, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: (await response.json()) as Answer['json'] };
  };
  const { api_key } = (await send(far, '/admin/orgs', OPERATOR_TOKEN, { name: 'Killed' })).json;
  const body = taskBody();
  // The commit, which follows the claim.
  const { held, release } = proxy.hold(':outbox');
  const first = send(near, '/v1/tasks', api_key, body).catch((error: unknown) => error);
  await held;
  doomed.process.kill('SIGKILL');
  const killed = performance.now();
  expect(await first).toBeInstanceOf(Error);
  expect((await send(far, '/v1/tasks', api_key, body)).json.code).toBe('idempotency_in_flight');
  await expect
    .poll(async () => (await send(far, '/v1/tasks', api_key, body)).status, { timeout: 15_000 })
    .toBe(201);
  expect(performance.now() - killed).toBeLessThan(4000);
  // The commit of the dead process arrives after all, and changes nothing.
  release();
  await proxy.close();
  expect((await send(far, '/v1/tasks', api_key)).json.data).toHaveLength(1);
});
