// Which events an endpoint receives, which headers it may add, and when it is disabled.
import { describe, expect, it } from 'vitest';
import {
  type Endpoint,
  hasFailedTooLong,
  headerFault,
  periodOf,
  wants,
} from '../../../src/state/webhooks/endpoint.ts';
import { secretFault } from '../../../src/state/webhooks/secret.ts';

const DAY = 24 * 3600 * 1000;
const LIMIT = 5 * DAY;

const endpoint: Endpoint = {
  endpoint_id: 'e',
  org_id: 'o',
  version: 1,
  url: 'https://receiver.example/',
  description: '',
  events: ['task.created'],
  pools: ['*'],
  enabled: true,
  disabled: null,
  signature: 'v1',
  secrets: [],
  public_key: null,
  headers: null,
  retry_policy: { max_retries: 6, backoff_seconds: 30 },
  created_at: 0,
  updated_at: 0,
};

describe('an endpoint', () => {
  it('receives the events it subscribed to, of its pools, while it is enabled', () => {
    expect(wants(endpoint, 'task.created', null)).toBe(true);
    expect(wants(endpoint, 'task.queued', null)).toBe(false);
    expect(wants({ ...endpoint, enabled: false }, 'task.created', null)).toBe(false);
    const confined = { ...endpoint, pools: ['p'] };
    expect(['p', 'q', null].map((pool) => wants(confined, 'task.created', pool))).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('accepts custom headers, but none that BioLayer sets', () => {
    for (const name of ['Authorization', 'X-Team', 'cookie']) expect(headerFault(name, 'x')).toBeNull();
    for (const name of [
      'HOST',
      'content-length',
      'Webhook-Id',
      'svix-id',
      'Transfer-Encoding',
      'a b',
      'ü',
      '',
    ])
      expect(headerFault(name, 'x')).not.toBeNull();
    for (const value of ['a\nb', 'a\0', 'ü', ' x']) expect(headerFault('x', value)).not.toBeNull();
  });

  it('is disabled after failing for the whole limit, not after one bad day and a silence', () => {
    const failures = (...days: number[]) => {
      const periods = new Set(days.map((day) => periodOf(day * DAY, LIMIT))).size;
      return hasFailedTooLong({ since: (days[0] ?? 0) * DAY, periods }, (days.at(-1) ?? 0) * DAY, LIMIT);
    };
    expect(failures(0, 1, 2, 3, 4, 5)).toBe(true);
    expect(failures(0, 2, 5)).toBe(true);
    expect(failures(0, 1, 2, 3, 4)).toBe(false);
    expect(failures(0, 0.1, 0.2, 0.3, 9)).toBe(false);
  });

  it('accepts a secret of 24 to 64 bytes', () => {
    const secret = (bytes: number) => `whsec_${Buffer.alloc(bytes, 251).toString('base64')}`;
    expect([24, 32, 64].map((bytes) => secretFault(secret(bytes)))).toEqual([null, null, null]);
    for (const wrong of [
      secret(23),
      secret(65),
      secret(32).slice(6),
      'whsec_',
      `${secret(32)}!`,
      'whsec_a-_b',
    ])
      expect(secretFault(wrong)).not.toBeNull();
  });
});
