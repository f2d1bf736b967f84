// A Redis that rejects writes: /readyz gives the reason, the log reports it once, and connections leave a server that a
// failover has made a replica.
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLog } from '../../../src/runtime/log.ts';
import { createOrg, startApi, type TestApi } from '../../support/api.ts';
import { type OwnRedis, startOwnRedis } from '../../support/own-redis.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

let [first, second]: OwnRedis[] = [];
let api: TestApi;
/** Where new connections go; those that are open stay where they are, as behind a name that has moved. */
let target: number;
const logged: string[] = [];
const proxy = createServer((near) => {
  const far = createConnection(target, '127.0.0.1');
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const)
    one
      .on('error', () => other.destroy())
      .on('close', () => other.destroy())
      .pipe(other);
});

beforeAll(async () => {
  [first, second] = await Promise.all([startOwnRedis(), startOwnRedis()]);
  target = first.port;
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const redisUrl = `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const log = createLog('info', 'test', { write: (line) => void logged.push(line) });
  api = await startApi({ redisUrl, log, processors: true });
});
afterAll(async () => {
  await api.close();
  proxy.close();
  await Promise.all([first?.stop(), second?.stop()]);
});

const readiness = async () => {
  const answer = await api.client(null).request('GET', '/readyz');
  return answer.status === 200 ? 'ready' : answer.problem.detail;
};

test.each([
  ['maxmemory', '1', '0', 'Redis rejects writes: its memory is full (maxmemory).'],
  ['min-replicas-to-write', '1', '0', /^Redis rejects writes: it has too few replicas/],
])('/readyz gives the reason for refused writes: %s', async (setting, bad, good, expected) => {
  expect(await readiness()).toBe('ready');
  await api.redis.config('SET', setting, bad);
  try {
    expect(await readiness()).toMatch(expected);
  } finally {
    await api.redis.config('SET', setting, good);
  }
  expect(await readiness()).toBe('ready');
  expect(await api.redis.exists(`${api.prefix}:writable`)).toBe(0);
});

test('after a failover connections leave the former primary, and work continues', async () => {
  if (first === undefined || second === undefined) throw new Error('not started');
  const { client } = await createOrg(api);
  const admin = async (port: number, ...command: string[]) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.end(`${command.join(' ')}\r\n`);
    let reply = '';
    for await (const data of socket) reply += data;
    return reply;
  };
  await admin(first.port, 'CONFIG', 'SET', 'repl-diskless-sync-delay', '0');
  await admin(second.port, 'REPLICAOF', '127.0.0.1', String(first.port));
  await expect
    .poll(() => admin(second?.port ?? 0, 'INFO', 'replication'), { timeout: 15_000 })
    .toContain('master_link_status:up');
  await admin(second.port, 'REPLICAOF', 'NO', 'ONE');
  target = second.port;
  await admin(first.port, 'REPLICAOF', '127.0.0.1', String(second.port));
  const create = async () => (await client.request('POST', '/v1/tasks', { body: taskBody() })).status;
  await expect.poll(create, { timeout: 10_000, interval: 100 }).toBe(201);
  expect(await readiness()).toBe('ready');
  // The processors' connections too: a task is offered.
  const person = await createTestWorker(api, client, { skills: ['skill_of_nobody'] });
  await expect
    .poll(async () => (await client.request('GET', '/v1/tasks?status=offered')).text, { timeout: 20_000 })
    .toContain('"offered"');
  expect((await person.client.request('GET', '/v1/worker')).status).toBe(200);
});

test('logs one line when an outage begins and one when it ends, without a stack', async () => {
  const own = await startOwnRedis();
  const lines: string[] = [];
  const log = createLog('info', 'test', { write: (line) => void lines.push(line) });
  const other = await startApi({ redisUrl: own.url, log, processors: true });
  try {
    await own.kill();
    // Connections have met a refusal several times by then.
    await expect.poll(async () => (await other.client(null).request('GET', '/readyz')).status).toBe(503);
    // During this time connections retry; that they log no further lines is what is tested.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await own.start();
    await expect.poll(() => lines.join(''), { timeout: 10_000 }).toContain('Redis is available again');
  } finally {
    await other.close();
    await own.stop();
  }
  const away = lines.filter((one) => one.includes('Redis is unavailable, trying again'));
  // Of the web process and of the worker process, which run in one here.
  expect(away.length).toBeGreaterThanOrEqual(1);
  expect(away.length).toBeLessThanOrEqual(2);
  expect(lines.length).toBeLessThan(12);
  expect(lines.join('')).not.toMatch(/"stack"|\\n +at /);
});
