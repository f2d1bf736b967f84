// Connections to a Redis Cluster: every key reaches its node, after failovers and while slots move, and with TLS and credentials.
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { preflight } from '../../../src/runtime/preflight.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import {
  connect,
  connectNear,
  connectSubscriber,
  isUnavailable,
  whenReady,
} from '../../../src/store/redis/connection.ts';
import { confirmByReplicas, UnconfirmedError } from '../../../src/store/redis/durability.ts';
import { PARTITIONS, partitionKeys, replicatedKey } from '../../../src/store/redis/keys.ts';
import { countInPartitions } from '../../../src/store/redis/partition-counts.ts';
import { createSealer } from '../../../src/store/redis/sealing.ts';
import { serverOf, serversOf, slotOf } from '../../../src/store/redis/servers.ts';
import { readTopology, type Topology } from '../../../src/store/redis/topology.ts';
import { writeProbe } from '../../../src/store/redis/write-probe.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { type RedisCluster, startCluster } from '../../support/cluster.ts';
import { startOwnRedis } from '../../support/own-redis.ts';

const KEYS = PARTITIONS.map((partition) => partitionKeys('t', partition).outbox.replace('outbox', 'key'));
const [KEY = ''] = KEYS;
const SLOT = slotOf(KEY);
const SOON = { timeout: 12_000 };

const start = (redis: Topology) => {
  const log = { info: () => undefined, warn: () => undefined };
  return preflight({
    redis,
    sealer: createSealer([Buffer.alloc(32)]),
    lostKey: undefined,
    log,
    reachLimit: 0,
  });
};

test('the slots of the partitions are evenly apart, one in each 256th, and of the first 16 one in each sixteenth', () => {
  const slots = PARTITIONS.map((one) => slotOf(partitionKeys('t', one).outbox));
  const shares = (all: readonly number[], size: number) =>
    all.map((slot) => Math.floor(slot / size)).sort((one, other) => one - other);
  const each = (count: number) => Array.from({ length: count }, (_, index) => index);
  expect(shares(slots, 64)).toEqual(each(256));
  expect(shares(slots.slice(0, 16), 1024)).toEqual(each(16));
  expect(PARTITIONS).toEqual([...PARTITIONS].sort());
});

describe('a cluster', () => {
  let cluster: RedisCluster;
  let topology: Topology;
  beforeAll(async () => {
    cluster = await startCluster();
    topology = readTopology(cluster.url);
  });
  afterAll(() => cluster.stop());

  async function connected(kind: 'request' | 'patient', use?: { followsAsk: boolean }): Promise<Cluster> {
    const redis = connect(topology, kind, () => undefined, use);
    onTestFinished(() => redis.disconnect());
    await whenReady(redis);
    return redis as Cluster;
  }

  test('passes the checks at start, and has every key on its node', async () => {
    await start(topology);
    const redis = await connected('request');
    for (const key of KEYS) await redis.set(key, key);
    expect(await Promise.all(KEYS.map((key) => redis.get(key)))).toEqual(KEYS);
    const sizes = await Promise.all(serversOf(redis).map((server) => server.dbsize()));
    expect(sizes).toHaveLength(3);
    expect(sizes.every((size) => size > 0)).toBe(true);
    expect(await writeProbe({ redis, prefix: 't' })()).toBeNull();
    const { outbox } = partitionKeys('t', PARTITIONS[3] ?? '');
    await redis.xadd(outbox, '*', 'd', '1');
    const lengths = await countInPartitions({ redis, prefix: 't' }, PARTITIONS, (keys) => [
      ['XLEN', keys.outbox],
      ['EXISTS', keys.outbox],
    ]);
    expect(lengths).toEqual(PARTITIONS.map((_, index) => (index === 3 ? 2 : 0)));
  });

  test('takes over: both kinds, a blocked connection and a subscription go on', async () => {
    const [request, patient] = [await connected('request'), await connected('patient')];
    const blocking = connectNear(KEY, topology, 'patient', () => undefined);
    const subscriber = connectSubscriber(topology, 'request', () => undefined);
    const duplicate = blocking.duplicate();
    duplicate.on('error', () => undefined);
    onTestFinished(() => {
      for (const one of [blocking, subscriber, duplicate]) one.disconnect();
    });
    await Promise.all([blocking, subscriber, duplicate].map(whenReady));
    const popped = duplicate.blpop(`${KEY}:list`, 20);
    await subscriber.ssubscribe(KEY);
    const heard: string[] = [];
    subscriber.on('smessage', (_, text) => heard.push(text));
    const master = await cluster.masterOf(SLOT);
    await master.kill();
    onTestFinished(() => master.start());
    // Fails at once, and does not wait for the failover.
    await expect(request.set(KEY, '1')).rejects.toSatisfy(isUnavailable);
    const late = patient.set(KEY, '2');
    await expect.poll(() => request.set(KEY, '3').catch(() => null), SOON).toBe('OK');
    expect(await late).toBe('OK');
    await request.rpush(`${KEY}:list`, 'x');
    expect(await popped).toEqual([`${KEY}:list`, 'x']);
    expect(await blocking.set(KEY, '4')).toBe('OK');
    await expect
      .poll(async () => {
        await request.spublish(KEY, 'hello');
        return heard.length;
      }, SOON)
      .toBeGreaterThan(0);
  });

  test('moves a slot: commits are refused for a moment, never carried out twice, and go on', async () => {
    const redis = await connected('request');
    const near = connectNear(KEY, topology, 'patient', () => undefined);
    onTestFinished(() => near.disconnect());
    await whenReady(near);
    const subscriber = connectSubscriber(topology, 'request', () => undefined);
    onTestFinished(() => subscriber.disconnect());
    await whenReady(subscriber);
    await subscriber.ssubscribe(KEY);
    const heard: string[] = [];
    subscriber.on('smessage', (_, text) => heard.push(text));
    const counters = Array.from({ length: 100 }, (_, index) => `${KEY}:${index}`);
    const writes = counters.map((key) => ['INCR', key] as const);
    expect(await commit(redis, { guards: [], writes })).toBe(true);
    const from = await cluster.masterOf(SLOT);
    const to = (await cluster.masters()).find((one) => one !== from) ?? from;
    let isMoving = true;
    // Longer than a command is tried again.
    const moving = cluster.moveSlot(SLOT, to, 200).finally(() => {
      isMoving = false;
    });
    let done = 1;
    const refused = new Set<string>();
    do
      try {
        if (await commit(redis, { guards: [], writes })) done += 1;
      } catch (error) {
        expect(isUnavailable(error)).toBe(true);
        refused.add(String(error));
      }
    while (isMoving);
    await moving;
    expect([...refused].join()).toContain('TRYAGAIN');
    expect(new Set(await redis.mget(counters))).toEqual(new Set([String(done)]));
    expect(await near.get(`${KEY}:0`)).toBe(String(done));
    expect(near.stream.remotePort).toBe(to.port);
    heard.length = 0;
    await expect
      .poll(async () => {
        await redis.spublish(KEY, 'hello');
        return heard.length;
      }, SOON)
      .toBeGreaterThan(0);
  });

  test('confirms a commit by the replicas of the node that has it, and by no other', async () => {
    const redis = await connected('request');
    const writer = await connected('request', { followsAsk: false });
    confirmByReplicas(redis, { writer, keyBeside: (key) => replicatedKey('t', key), least: 1 });
    const write = (key: string) => commit(redis, { guards: [], writes: [['SET', key, '1']] });
    const other = KEYS.find((key) => serverOf(redis, key) !== serverOf(redis, KEY)) ?? '';
    await expect.poll(() => write(KEY).catch(String), SOON).toBe(true);
    await expect.poll(() => write(other).catch(String), SOON).toBe(true);
    const master = await cluster.masterOf(SLOT);
    const id = await cluster.ask<string>(master, 'CLUSTER', 'MYID');
    const nodes = await cluster.ask<string>(master, 'CLUSTER', 'NODES');
    const replica = cluster.nodes.find((one) =>
      nodes.split('\n').some((line) => line.includes(`:${one.port}@`) && line.includes(`slave ${id}`)),
    );
    replica?.freeze();
    try {
      await expect(write(KEY)).rejects.toThrow(UnconfirmedError);
      expect(await write(other)).toBe(true);
    } finally {
      replica?.resume();
    }
  });

  test('that is named as one server is refused, and one server that is named as a cluster', async () => {
    const [node] = cluster.nodes;
    await expect(start(readTopology(`redis://127.0.0.1:${node?.port}`))).rejects.toThrow(
      /^REDIS_URL names a node of a Redis Cluster: name the cluster, as in redis\+cluster:/,
    );
    const single = await startOwnRedis();
    const refused = start(readTopology(`redis+cluster://127.0.0.1:${single.port}`));
    await expect(refused.finally(() => single.stop())).rejects.toThrow(/is none: use redis:/);
  });
});

test('TLS with a client certificate, and a user', async () => {
  const { files, tls } = await makeCertificate();
  const cluster = await startCluster({
    replicas: 0,
    tls: files,
    settings: ['user default off', 'user app on >p@ss:word ~* &* +@all'],
    user: { username: 'app', password: 'p@ss:word' },
  });
  onTestFinished(() => cluster.stop());
  const url = cluster.url.replace('://', '://app:p%40ss%3Aword@');
  await start(readTopology(url, { tls }));
  const near = connectNear('key', readTopology(url, { tls }), 'patient', () => undefined);
  const redis = connect(readTopology(url, { tls }), 'request', () => undefined);
  onTestFinished(() => {
    near.disconnect();
    redis.disconnect();
  });
  await whenReady(redis);
  expect(redis).toBeInstanceOf(Cluster);
  expect(await redis.set('key', '1')).toBe('OK');
  expect(await near.get('key')).toBe('1');
  await expect(start(readTopology(url.replace('word', 'sword'), { tls }))).rejects.toThrow(
    /^Redis at the cluster of 127\.0\.0\.1:\d+,.* rejects the user or password in REDIS_URL$/,
  );
  await expect(start(readTopology(url))).rejects.toThrow(/does not answer/);
});
