// Secrets are shown once and stored nowhere in plain text: not in Redis or on its disk, a job, a log or another response.
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unpackJson } from '../../../src/store/redis/packing.ts';
import {
  type Answer,
  createOrg,
  createPool,
  OPERATOR_TOKEN,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { type OwnRedis, startOwnRedis } from '../../support/own-redis.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

let api: TestApi;
let redis: OwnRedis;
/** The logs of the processes at the lowest level. */
const logged: string[] = [];

beforeAll(async () => {
  redis = await startOwnRedis();
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) });
  const webhookAllowedNetworks = ['127.0.0.1/32'];
  api = await startApi({ processors: true, redisUrl: redis.url, webhookAllowedNetworks, log });
});
afterAll(async () => {
  await api.close();
  await redis.stop();
});

/** The files of Redis on disk: a new, uncompressed snapshot and the append-only file. */
async function onDisk(client: Redis): Promise<string> {
  await client.config('SET', 'rdbcompression', 'no');
  await client.save();
  const [, folder = ''] = (await client.config('GET', 'dir')) as string[];
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  const contents = await Promise.all(files.map((file) => readFile(file, 'latin1')));
  expect(files.some((file) => file.endsWith('.rdb')) && files.some((file) => file.includes('.aof'))).toBe(
    true,
  );
  return contents.join('\n');
}

/** All data under the prefix as text, decompressed. */
async function everything(redis: Redis, prefix: string): Promise<string> {
  const keys = [...(await redis.keys(`${prefix}:*`)), ...(await redis.keys(`{${prefix}-queues}:*`))];
  const pieces = await Promise.all(
    keys.map(async (key) => {
      switch (await redis.type(key)) {
        case 'string':
          return redis.get(key);
        case 'hash': {
          const fields = Object.entries<Buffer>(await redis.hgetallBuffer(key));
          return fields
            .map(([name, value]) => `${name} ${name === 'z' ? JSON.stringify(unpackJson(value)) : value}`)
            .join('\n');
        }
        case 'list':
          return JSON.stringify(await redis.lrange(key, 0, -1));
        case 'set':
          return JSON.stringify(await redis.smembers(key));
        case 'zset':
          return JSON.stringify(await redis.zrange(key, 0, '-1'));
        case 'stream':
          return JSON.stringify(await redis.xrange(key, '-', '+'));
        default:
          return null;
      }
    }),
  );
  return [...keys, ...pieces].join('\n');
}

test('no secret is readable in Redis, in lists or in a task', async () => {
  const secret = (what: string) => `${what}-${randomBytes(12).toString('hex')}`;
  const [token, username, password] = [secret('token'), secret('user'), secret('pass')];
  const org = await createOrg(api);
  const { client } = org;
  const keyed = (name: string) => ({ headers: { 'Idempotency-Key': name } });
  const key = await client.post<{ key: string; key_id: string }>(
    '/v1/api-keys',
    { name: 'k', scopes: ['*'] },
    keyed('a key'),
  );
  const poolId = await createPool(client);
  const person = await createTestWorker(api, client, { pool_ids: [poolId] });
  const path = `/v1/workers/${person.worker_id}/tokens`;
  const again = await client.post<{ token: string }>(path, undefined, keyed('a token'));
  const rotated = await client.post<{ secret: string }>('/v1/webhook-secret/rotate', {}, keyed('a secret'));

  const [header, login] = [secret('header'), secret('login')];
  const endpoint = await client.post<{ endpoint_id: string; secret: string }>(
    '/v1/webhook-endpoints',
    { url: 'http://127.0.0.1:1/never', headers: { 'X-Own': header }, retry_policy: { max_retries: 0 } },
    keyed('an endpoint'),
  );
  const member = { email: 'm@example.com', name: 'm', scopes: ['*'] };
  const { member_id, ...made } = await client.post<{ member_id: string; password: string }>(
    '/v1/members',
    member,
    keyed('a member'),
  );
  await client.patch(`/v1/members/${member_id}`, { password: login });
  const machine = await client.post<{ client_id: string; client_secret: string }>(
    '/v1/oauth-clients',
    { name: 'machine', scopes: ['tasks:read'] },
    keyed('a client'),
  );

  const answers: Answer[] = [];
  const create = async (callback_auth: unknown, requirements: unknown) => {
    // No server listens there, so the failure is logged and shown on the board.
    const url = { callback_url: 'http://127.0.0.1:1/never', retry_policy: { max_retries: 0 } };
    const handoff = { callback_url: 'https://192.168.0.1/never', callback_auth };
    const refused = await client.request('POST', '/v1/tasks', { body: taskBody({ handoff, requirements }) });
    answers.push(refused);
    const taken = { ...url, callback_auth };
    const made = await client.request('POST', '/v1/tasks', {
      body: taskBody({ handoff: taken, requirements }),
      ...keyed(secret('k')),
    });
    expect([refused.status, made.status]).toEqual([422, 201]);
    answers.push(made);
    return made.as<TaskView>().task_id;
  };
  const done = await create({ type: 'bearer', token }, { worker_pool_id: poolId });
  await person.accept(done);
  await person.start(done);
  await person.submit(done);
  await client.get(`/v1/tasks/${done}?wait=30`);
  const open = await create({ type: 'basic', username, password }, { worker_pool_id: poolId });
  const test = await client.post<{ key: string }>('/v1/api-keys', { name: 't', scopes: ['*'], mode: 'test' });
  const inSandbox = await api.client(test.key).get<{ secret: string }>('/v1/webhook-secret');
  const rotatedKey = await client.post<{ key: string }>(`/v1/api-keys/${key.key_id}/rotate`, {});
  // Errors do not repeat the contents of a body, a header or a rejected credential either.
  answers.push(
    await client.request('POST', '/v1/tasks', {
      body: taskBody({ handoff: { callback_auth: { type: 'bearer', token, more: token } } }),
    }),
    await client.request('POST', '/v1/tasks', { raw: `{"handoff": {"callback_auth": {"token": "${token}"` }),
    await api.client(`${key.key}x`).request('GET', '/v1/tasks'),
    await client.request('GET', `/v1/tasks/${done}`, { headers: { 'If-Match': `"${token}"` } }),
  );
  await expect
    .poll(
      async () =>
        (
          await api.operator.request(
            'GET',
            '/admin/queues/api/queues?activeQueue=outgoing.webhooks&status=failed',
          )
        ).text,
      {
        timeout: 20_000,
      },
    )
    .toContain(done);

  for (const place of [
    '/v1/tasks',
    `/v1/tasks/${done}`,
    `/v1/tasks/${open}`,
    `/v1/tasks/${done}/events`,
    '/v1/events',
    '/v1/api-keys',
    '/v1/workers',
    '/v1/org',
    '/v1/audit',
    '/v1/audit/export',
    '/v1/members',
    '/v1/oauth-clients',
    '/v1/webhook-endpoints',
    `/v1/webhook-endpoints/${endpoint.endpoint_id}/deliveries`,
    '/v1/dead-letters',
  ])
    answers.push(await client.request('GET', place));
  answers.push(
    ...(await Promise.all(
      [
        'tasks.lifecycle',
        'tasks.sla',
        'tasks.bulk',
        'outgoing.webhooks',
        'outgoing.retries',
        'outgoing.notifications',
      ].flatMap((queue) =>
        ['latest', 'completed', 'failed', 'delayed'].map((status) =>
          api.operator.request(
            'GET',
            `/admin/queues/api/queues?activeQueue=${queue}&status=${status}&jobsPerPage=100`,
          ),
        ),
      ),
    )),
    await api.operator.request('GET', '/metrics'),
  );

  const secrets: Record<string, string> = {
    token,
    username,
    password,
    basic: Buffer.from(`${username}:${password}`).toString('base64'),
    'first key': client.credential ?? '',
    key: key.key,
    'worker token': person.client.credential ?? '',
    'second worker token': again.token,
    'signing secret': rotated.secret.replace('whsec_', ''),
    'test key': test.key,
    'signing secret of the sandbox': inSandbox.secret.replace('whsec_', ''),
    'key after a rotation': rotatedKey.key,
    'operator token': OPERATOR_TOKEN,
    'secret of an endpoint': endpoint.secret.replace('whsec_', ''),
    'header of an endpoint': header,
    'password that was made': made.password,
    'password that was set': login,
    'secret of a client': machine.client_secret,
  };
  const disk = await onDisk(api.redis);
  expect(disk).toContain(done);
  const lying = (await everything(api.redis, api.prefix)) + disk;
  const log = logged.join('');
  expect(log).not.toBe('');
  expect(lying).toContain(done);
  expect(lying).toContain(person.worker_id);
  for (const [name, text] of Object.entries(secrets)) {
    expect(text.length).toBeGreaterThan(16);
    expect([name, lying.includes(text)]).toEqual([name, false]);
    expect([name, log.includes(text)]).toEqual([name, false]);
    expect([name, answers.some((one) => one.text.includes(text))]).toEqual([name, false]);
  }
});
