// How a test reaches the suite's Redis. Test files run side by side on the one server, so each keeps to
// keys under a prefix of its own and none ever flushes.
import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import type {} from './global-setup.ts';

/** The URL of the Redis that the global setup started for this run. */
export function testRedisUrl(): string {
  return inject('redisUrl');
}

/** A key prefix that no other test has. */
export function freshPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}
