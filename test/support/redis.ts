// Access to the Redis of the suite. Test files share the server at the same time, so each uses its own key prefix and
// none flushes it.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, inject } from 'vitest';
import { readTopology, type Topology } from '../../src/store/redis/topology.ts';
import type {} from './global-setup.ts';

/** The URL of the Redis that the global setup started for this run. */
export function testRedisUrl(): string {
  return inject('redisUrl');
}

/** The same server with a database for one file that scans all keys often: those of all other tests slow it down. */
export function testDatabaseUrl(database: 1 | 2): string {
  return `${testRedisUrl()}/${database}`;
}

/** The Redis of the suite, to connect to. */
export function testTopology(): Topology {
  return readTopology(testRedisUrl());
}

/** A unique key prefix. */
export function freshPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}

/**
 * Records all commands that Redis receives from now on (MONITOR). Uses a plain socket, because ioredis takes commands of
 * other clients for its own replies until it knows that it monitors.
 */
export async function monitorRedis(): Promise<{ seen(): string; close(): void }> {
  const { hostname, port, password } = new URL(testRedisUrl());
  const socket = connect(Number(port), hostname);
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
  return { seen: () => text, close: () => socket.destroy() };
}
