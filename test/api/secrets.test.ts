// Secrets are shown once and lie nowhere open: not in Redis, not in a job, not in an answer.
import { randomBytes } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, createOrg, createPool, startApi, type TaskView, type TestApi } from '../support/api.ts';
import { createPerson, taskBody } from '../support/people.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ processors: true });
});
afterAll(() => api.close());

/** All that lies under the prefix, as text; what is compressed, opened. */
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
            .map(([name, value]) => `${name} ${name === 'z' ? inflateRawSync(value) : value}`)
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

test('no secret lies open in Redis, is in a list or comes back with a task', async () => {
  const secret = (what: string) => `${what}-${randomBytes(12).toString('hex')}`;
  const [token, username, password] = [secret('token'), secret('user'), secret('pass')];
  const org = await createOrg(api);
  const { client } = org;
  const keyed = (name: string) => ({ headers: { 'Idempotency-Key': name } });
  const key = await client.post<{ key: string }>(
    '/v1/api-keys',
    { name: 'k', scopes: ['*'] },
    keyed('a key'),
  );
  const poolId = await createPool(client);
  const person = await createPerson(api, client, { pool_ids: [poolId] });
  const path = `/v1/workers/${person.worker_id}/tokens`;
  const again = await client.post<{ token: string }>(path, undefined, keyed('a token'));
  const rotated = await client.post<{ secret: string }>('/v1/webhook-secret/rotate', {}, keyed('a secret'));

  const answers: Answer[] = [];
  const create = async (callback_auth: unknown, requirements: unknown) => {
    const handoff = { callback_url: 'https://127.0.0.1/never', callback_auth };
    const refused = await client.request('POST', '/v1/tasks', { body: taskBody({ handoff, requirements }) });
    answers.push(refused);
    const { callback_url: _url, ...rest } = handoff;
    const made = await client.request('POST', '/v1/tasks', {
      body: taskBody({ handoff: rest, requirements }),
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

  for (const place of [
    '/v1/tasks',
    `/v1/tasks/${done}`,
    `/v1/tasks/${open}`,
    `/v1/tasks/${done}/events`,
    '/v1/events',
    '/v1/api-keys',
    '/v1/workers',
    '/v1/org',
  ])
    answers.push(await client.request('GET', place));
  answers.push(
    await api.operator.request('GET', '/admin/queues/api/queues'),
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
  };
  const lying = await everything(api.redis, api.prefix);
  expect(lying).toContain(done);
  expect(lying).toContain(person.worker_id);
  for (const [name, text] of Object.entries(secrets)) {
    expect(text.length).toBeGreaterThan(16);
    expect([name, lying.includes(text)]).toEqual([name, false]);
    expect([name, answers.some((one) => one.text.includes(text))]).toEqual([name, false]);
  }
});
