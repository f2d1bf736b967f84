// How a test reaches the suite's Redis. Test files run side by side on the one server, so each keeps to
// keys under a prefix of its own and none ever flushes.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, inject } from 'vitest';
import type {} from './global-setup.ts';

/** The URL of the Redis that the global setup started for this run. */
export function testRedisUrl(): string {
  return inject('redisUrl');
}

/** A key prefix that no other test has. */
export function freshPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}

/**
 * What Redis is asked from now on, by MONITOR, on a bare socket: a client of Redis takes what others ask in the
 * moment before it knows that it monitors for answers of its own.
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
