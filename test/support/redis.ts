// Access to the Redis of the suite. Test files share the server at the same time, so each uses its own key prefix and
// none flushes it.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Cluster, type Redis } from 'ioredis';
import { expect, inject } from 'vitest';
import { connect as connectTo } from '../../src/store/redis/connection.ts';
import { serverOf, serversOf } from '../../src/store/redis/servers.ts';
import { readTopology, type Topology } from '../../src/store/redis/topology.ts';
import type {} from './global-setup.ts';

/** The URL of the Redis that the global setup started for this run, or of the sentinels or cluster. */
export function testRedisUrl(): string {
  return inject('redisUrl');
}

/**
 * The same server with a database for one file that scans all keys often: those of all other tests slow it down. A cluster
 * has only one database.
 */
export function testDatabaseUrl(database: 1 | 2): string {
  const url = testRedisUrl();
  switch (readTopology(url).kind) {
    case 'single':
      return `${url}/${database}`;
    case 'sentinel':
      return `${url}?db=${database}`;
    case 'cluster':
      return url;
  }
}

/** The Redis of the suite, to connect to. */
export function testTopology(): Topology {
  return readTopology(testRedisUrl());
}

/** Whether the Redis of the suite is one server, which a test can watch or put a proxy before. */
export function isOneServer(): boolean {
  return testTopology().kind === 'single';
}

/** A connection for a test, which reaches all keys and waits in an outage; KEYS and SCAN ask all masters of a cluster. */
export function openRedis(url = testRedisUrl()): Redis {
  const redis = connectTo(readTopology(url), 'patient', () => undefined);
  if (!(redis instanceof Cluster)) return redis;
  const masters = () => redis.nodes('master');
  const onAll = {
    keys: async (pattern: string) => (await Promise.all(masters().map((one) => one.keys(pattern)))).flat(),
    async *scanStream(options: Parameters<Redis['scanStream']>[0]) {
      for (const one of masters()) yield* one.scanStream(options);
    },
  };
  // It has the same commands.
  return Object.assign(redis, onAll) as unknown as Redis;
}

/** A unique key prefix. */
export function freshPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}

/** How many connections are subscribed to a sharded channel. */
export async function subscribersOf(redis: Redis, channel: string): Promise<number> {
  return Number((await serverOf(redis, channel)?.pubsub('SHARDNUMSUB', channel))?.[1]);
}

/**
 * Records all commands that Redis, or each master of a cluster, receives from now on (MONITOR). Uses plain sockets, because
 * ioredis takes commands of other clients for its own replies until it knows that it monitors.
 */
export async function monitorRedis(redis: Redis): Promise<{ seen(): Promise<string>; close(): void }> {
  // The servers of a cluster and behind sentinels have none.
  const password = isOneServer() ? new URL(testRedisUrl()).password : '';
  const monitors = await Promise.all((await redisPorts(redis)).map((port) => monitorServer(port, password)));
  return {
    /** The commands that were carried out before the call. */
    async seen() {
      const mark = freshPrefix();
      await Promise.all(serversOf(redis).map((server) => server.echo(mark)));
      for (const { text } of monitors) await expect.poll(text).toContain(mark);
      return monitors.map(({ text }) => text()).join('');
    },
    close: () => {
      for (const { socket } of monitors) socket.destroy();
    },
  };
}

/** Ports of the servers behind a connection. */
export async function redisPorts(redis: Redis): Promise<number[]> {
  return Promise.all(
    serversOf(redis).map(async (server) => {
      // Those of a cluster are connected when they are used first.
      await server.ping();
      return server.stream.remotePort ?? 0;
    }),
  );
}

async function monitorServer(port: number, password: string) {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  const ask = async (command: string) => {
    text = '';
    socket.write(`${command}\r\n`);
    while (!text.includes('\r\n')) await once(socket, 'data');
    expect(text).toMatch(/^\+OK/);
  };
  if (password !== '') await ask(`AUTH ${decodeURIComponent(password)}`);
  await ask('MONITOR');
  return { socket, text: () => text };
}
