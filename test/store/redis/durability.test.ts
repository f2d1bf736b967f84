// DURABILITY=replicated: a change is confirmed when all replicas have it, and a replica that is frozen confirms nothing.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connectNear, whenReady } from '../../../src/store/redis/connection.ts';
import { confirmByReplicas, confirmed, UnconfirmedError } from '../../../src/store/redis/durability.ts';
import type { RedisClient } from '../../../src/store/redis/servers.ts';
import { readTopology } from '../../../src/store/redis/topology.ts';
import {
  type Client,
  createOrg,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { type OwnRedis, startOwnRedis } from '../../support/own-redis.ts';
import { taskBody } from '../../support/workers.ts';

let primary: OwnRedis;
let replicas: OwnRedis[];
/** On the primary. */
let redis: Redis;
/** All replicas must confirm; one must, and all that are connected. */
let strict: TestApi;
let lenient: TestApi;
let client: Client;
let lenientClient: Client;

beforeAll(async () => {
  primary = await startOwnRedis({}, [['repl-diskless-sync-delay', '0']]);
  const follow = [['replicaof', `127.0.0.1 ${primary.port}`]] as const;
  replicas = await Promise.all([startOwnRedis({}, follow), startOwnRedis({}, follow)]);
  redis = new Redis(primary.url);
  await redis.set('first', '1');
  expect(await redis.wait(2, 10_000)).toBe(2);
  strict = await startApi({ redisUrl: primary.url, web: { durabilityReplicas: 2 } });
  lenient = await startApi({ redisUrl: primary.url, web: { durabilityReplicas: 1 } });
  client = (await createOrg(strict)).client;
  lenientClient = (await createOrg(lenient)).client;
});
afterEach(() => {
  for (const replica of replicas) replica.resume();
});
afterAll(async () => {
  await Promise.all([strict.close(), lenient.close()]);
  redis.disconnect();
  await Promise.all([primary, ...replicas].map((one) => one.stop()));
});

const key = () => ({ headers: { 'Idempotency-Key': randomUUID() } });
const countTasks = async () => (await client.get<Page<TaskView>>('/v1/tasks?limit=200')).data.length;

test('a create that a frozen replica does not have is answered with 503, as is its repeat, until the replica has it', async () => {
  const before = await countTasks();
  const request = { body: taskBody(), ...key() };
  replicas[1]?.freeze();
  for (const _ of ['first', 'repeated']) {
    const refused = await client.request('POST', '/v1/tasks', request);
    expect(refused.outcome).toBe('503 unavailable');
    expect(refused.headers.get('retry-after')).toBe('2');
    expect(refused.problem.detail).toMatch(/not all replicas .* have it yet/);
    // It has happened, and reads do not wait.
    expect(await countTasks()).toBe(before + 1);
  }
  replicas[1]?.resume();
  await expect.poll(async () => (await client.request('POST', '/v1/tasks', request)).outcome).toBe('201');
  const again = await client.request('POST', '/v1/tasks', request);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await countTasks()).toBe(before + 1);
});

test('readiness, metrics and the diagnosis tell that writes are not confirmed, until they are', async () => {
  const readiness = async () =>
    (await fetch(`${strict.url}/readyz`)).json() as Promise<{ replicas?: string }>;
  const metric = async (name: string) => {
    const text = (await strict.operator.request('GET', '/metrics')).text;
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  };
  const diagnosis = async () => {
    const { checks } = await strict.operator.get<{ checks: { name: string; status: string }[] }>(
      '/admin/diagnosis',
    );
    return checks.find((one) => one.name === 'replicas')?.status;
  };
  await client.post('/v1/tasks', taskBody());
  expect(await readiness()).not.toHaveProperty('replicas');
  expect(await diagnosis()).toBe('ok');
  const before = await metric('biolayer_writes_unconfirmed_total');
  await replicas[1]?.kill();
  await expect.poll(() => metric('biolayer_redis_replicas')).toBe(1);
  expect(await metric('biolayer_redis_replicas_required')).toBe(2);
  expect(await diagnosis()).toBe('fault');
  expect((await client.request('POST', '/v1/tasks', { body: taskBody() })).outcome).toBe('503 unavailable');
  expect(await metric('biolayer_writes_unconfirmed_total')).toBe(before + 1);
  expect(await readiness()).toMatchObject({ status: 'degraded', replicas: 'unconfirmed' });
  await replicas[1]?.start();
  const create = async () => (await client.request('POST', '/v1/tasks', { body: taskBody() })).outcome;
  await expect.poll(create, { timeout: 10_000 }).toBe('201');
  expect(await readiness()).not.toHaveProperty('replicas');
});

test('reads are answered while a write waits for replicas', async () => {
  replicas[0]?.freeze();
  const waits = client.request('POST', '/v1/tasks', { body: taskBody() });
  const writing = { isOver: false };
  void waits.then(() => {
    writing.isOver = true;
  });
  for (let count = 0; count < 20; count += 1) await client.get('/v1/tasks?limit=1');
  expect(writing.isOver).toBe(false);
  expect((await waits).outcome).toBe('503 unavailable');
});

test('a connected replica counts even where fewer are required', async () => {
  replicas[0]?.freeze();
  const outcome = async () =>
    (await lenientClient.request('POST', '/v1/tasks', { body: taskBody() })).outcome;
  expect(await outcome()).toBe('503 unavailable');
  await replicas[0]?.kill();
  await expect.poll(outcome).toBe('201');
  expect((await client.request('POST', '/v1/tasks', { body: taskBody() })).outcome).toBe('503 unavailable');
  await replicas[0]?.start();
  await expect
    .poll(async () => (await client.request('POST', '/v1/tasks', { body: taskBody() })).outcome, {
      timeout: 10_000,
    })
    .toBe('201');
});

test('one WAIT serves all writes of a turn, and none of another connection', async () => {
  const topology = readTopology(primary.url);
  const [main, writer] = [0, 1].map(() => connectNear('', topology, 'request', () => undefined)) as [
    Redis,
    Redis,
  ];
  onTestFinished(() => {
    for (const one of [main, writer]) one.disconnect();
  });
  await Promise.all([main, writer].map(whenReady));
  const changes: boolean[] = [];
  const onChange = ({ isConfirmed }: { isConfirmed: boolean }) => void changes.push(isConfirmed);
  confirmByReplicas(main, { writer, keyBeside: () => 'confirmed', least: 2, onChange });
  const write = (on: RedisClient) => on.set('written', '1');
  const always = () => true;
  await redis.config('RESETSTAT');
  expect(
    await Promise.all(Array.from({ length: 100 }, () => confirmed(main, 'written', write, always))),
  ).toContain('OK');
  expect(await redis.info('commandstats')).toMatch(/cmdstat_wait:calls=[12],/);
  const interrupted = confirmed(
    main,
    'written',
    async (on) => {
      const answer = await write(on);
      on.disconnect(true);
      await new Promise((resolve) => on.once('ready', resolve));
      return answer;
    },
    always,
  );
  await expect(interrupted).rejects.toThrow(UnconfirmedError);
  replicas[0]?.freeze();
  await expect(confirmed(main, 'written', write, always)).rejects.toThrow(UnconfirmedError);
  // A result that need not be confirmed does not wait.
  expect(await confirmed(main, 'written', write, () => false)).toBe('OK');
  replicas[0]?.resume();
  await expect.poll(() => confirmed(main, 'written', write, always).catch(String)).toBe('OK');
  expect(changes).toEqual([false, true]);
});
