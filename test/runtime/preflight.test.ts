// The checks of Redis before a process starts: faults and warnings.

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { preflight } from '../../src/runtime/preflight.ts';
import { COMMANDS, checkRedis } from '../../src/runtime/redis-check.ts';
import { retireSealingKeys } from '../../src/store/maintenance/sealing-keys.ts';
import { Heartbeat } from '../../src/store/metrics/heartbeat.ts';
import { RedisClock } from '../../src/store/redis/clock.ts';
import { hasCompactHashes } from '../../src/store/redis/hash-encoding.ts';
import { createSealer, type Sealer } from '../../src/store/redis/sealing.ts';
import { readTopology } from '../../src/store/redis/topology.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

let own: OwnRedis;
let redis: Redis;
const lines: object[] = [];
const log = {
  info: () => undefined,
  warn: (fields: object, message: string) => void lines.push({ ...fields, message }),
};

beforeAll(async () => {
  own = await startOwnRedis();
  redis = new Redis(own.url);
});
afterAll(async () => {
  redis.disconnect();
  await own.stop();
});
beforeEach(async () => {
  lines.length = 0;
  await redis.flushall();
});

function start(sealer: Sealer, redisUrl = own.url, lostKey?: string): Promise<void> {
  return preflight({ redis: readTopology(redisUrl), sealer, lostKey, log, reachLimit: 300 });
}

describe('SECRETS_KEY', () => {
  const [first, second, other] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const idOf = (key: Buffer) => createSealer([key]).keyIds[0] ?? '';

  test('is refused when it does not open the stored secrets', async () => {
    await start(createSealer([first]));
    await start(createSealer([first]));
    await expect(start(createSealer([other]))).rejects.toThrow(
      `SECRETS_KEY does not open all stored secrets. Needed: key ${idOf(first)}; given: key ${idOf(other)}`,
    );
    await start(createSealer([first]));
  });

  test('is accepted when the record of an org is damaged', async () => {
    const org_id = '018f0000-0000-7000-8000-000000000002';
    const { orgKeysOf, partitionKeys, partitionOf } = await import('../../src/store/redis/keys.ts');
    await redis.sadd(partitionKeys('bl', partitionOf(org_id)).orgs, org_id);
    await redis.hset(orgKeysOf('bl', org_id).org, { v: 1, d: '{"org_id":' });
    await start(createSealer([first]));
  });

  test('is checked against the secrets of an org when no process has registered its key yet', async () => {
    const sealer = createSealer([first]);
    const org_id = '018f0000-0000-7000-8000-000000000001';
    const { orgKeysOf, partitionKeys, partitionOf } = await import('../../src/store/redis/keys.ts');
    const { webhookSecretContext } = await import('../../src/store/identity/orgs.ts');
    const webhook_secrets = [
      { sealed: sealer.seal('whsec_x', webhookSecretContext(org_id)), created_at: 1, expires_at: null },
    ];
    const org = { org_id, version: 1, name: 'x', webhook_secrets, created_at: 1, updated_at: 1 };
    await redis.sadd(partitionKeys('bl', partitionOf(org_id)).orgs, org_id);
    await redis.hset(orgKeysOf('bl', org_id).org, { v: 1, d: JSON.stringify(org) });
    await expect(start(createSealer([other]))).rejects.toThrow(`Needed: key ${idOf(first)}`);
    await start(sealer);
  });

  test('during a rotation: only a pair that opens all secrets is accepted, and one key only after a reseal', async () => {
    await start(createSealer([first]));
    await expect(start(createSealer([second, other]))).rejects.toThrow(
      `SECRETS_KEY and SECRETS_KEY_PREVIOUS do not open all stored secrets. Needed: key ${idOf(first)};`,
    );
    await start(createSealer([first, second]));
    await start(createSealer([second, first]));
    // Both keys have sealed something now.
    await expect(start(createSealer([first, other]))).rejects.toThrow(`Needed: key ${idOf(second)}`);
    await expect(start(createSealer([second]))).rejects.toThrow(`Needed: key ${idOf(first)}`);
    await retireSealingKeys(
      { redis, prefix: 'bl', clock: new RedisClock(redis) },
      createSealer([second, first]),
    );
    await start(createSealer([second]));
    await expect(start(createSealer([first]))).rejects.toThrow(`Needed: key ${idOf(second)}`);
  });

  test('that is lost for good is given up by SECRETS_KEY_LOST', async () => {
    await start(createSealer([first]));
    await expect(start(createSealer([second]), own.url, idOf(other))).rejects.toThrow(/SECRETS_KEY_LOST/);
    await start(createSealer([second]), own.url, idOf(first));
    expect(lines).toEqual([{ key_id: idOf(first), message: 'secrets sealed with this key are given up' }]);
    await start(createSealer([second]));
  });
});

describe('Redis', () => {
  const sealer = createSealer([randomBytes(32)]);

  test('that does not answer is reported with its address and without its password', async () => {
    const fault = await start(sealer, 'redis://:hunter2@127.0.0.1:1').catch((error: Error) => error.message);
    expect(fault).toMatch(
      /^Redis at 127\.0\.0\.1:1 does not answer \(.*ECONNREFUSED.*\): start it, or set REDIS_URL/,
    );
    expect(fault).not.toContain('hunter2');
  });

  test('that accepts connections but does not answer is refused after the time limit', async () => {
    own.freeze();
    const refused = expect(start(sealer)).rejects.toThrow(/does not answer/);
    await refused.finally(() => own.resume());
  });

  test('that requires a password, or does not have the database, is reported', async () => {
    await expect(start(sealer, `${own.url}/99`)).rejects.toThrow(
      /cannot be used \(.*DB index is out of range/,
    );
    await redis.config('SET', 'requirepass', 'sesame');
    try {
      await expect(start(sealer)).rejects.toThrow(/requires a password: add it to REDIS_URL/);
    } finally {
      await redis.config('SET', 'requirepass', '');
    }
  });

  test('that is a node of a cluster is refused, because the keys of other nodes would be out of reach', async () => {
    const node = await startOwnRedis({}, [['cluster-enabled', 'yes']]);
    await expect(start(sealer, node.url).finally(() => node.stop())).rejects.toThrow(
      /^REDIS_URL names a node of a Redis Cluster: name the cluster, as in redis\+cluster:/,
    );
  });

  test('that is a read-only replica is reported', async () => {
    await redis.replicaof('127.0.0.1', 1);
    try {
      await expect(start(sealer)).rejects.toThrow(/it is a read-only replica; set REDIS_URL to the primary/);
    } finally {
      await redis.replicaof('NO', 'ONE');
    }
  });

  test('that has fewer replicas than must confirm writes is reported by a warning', async () => {
    await preflight({ redis: readTopology(own.url), durabilityReplicas: 2, sealer, lostKey: undefined, log });
    expect(lines).toMatchObject([{ setting: 'DURABILITY_REPLICAS', value: 2, replicas: 0 }]);
  });

  test('whose settings may lose tasks is reported by one warning per setting, with the remedy', async () => {
    await start(sealer);
    expect(lines).toEqual([]);
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await redis.config('SET', 'appendonly', 'no');
    try {
      await start(sealer);
    } finally {
      await redis.config('SET', 'maxmemory-policy', 'noeviction');
      await redis.config('SET', 'appendonly', 'yes');
    }
    expect(lines).toMatchObject([
      { setting: 'maxmemory-policy', value: 'allkeys-lru', message: expect.stringContaining('noeviction') },
      { setting: 'appendonly', value: 'no', message: expect.stringContaining('appendonly yes') },
    ]);
  });

  test('that is too old is refused', async () => {
    const old = new Proxy(redis, {
      get: (target, name) =>
        name === 'info' ? async () => 'redis_version:6.2.14\r\n' : Reflect.get(target, name).bind(target),
    });
    await expect(checkRedis(old, 'bl', log)).rejects.toThrow(
      /version 6\.2\.14: BioLayer needs 7\.0 or newer/,
    );
  });
});

test('QUEUE_SHARDS is refused while processes with another number are alive, and its keys without the right', async () => {
  const sealer = createSealer([randomBytes(32)]);
  const startWith = (queueShards: number, url = own.url) =>
    preflight({ redis: readTopology(url), queueShards, sealer, lostKey: undefined, log });
  await startWith(4);
  const clock = new RedisClock(redis);
  await clock.sync();
  const db = { redis, prefix: 'bl', clock };
  const beat = new Heartbeat(db, { kind: 'web', version: '1', queueShards: 4 });
  await beat.start();
  await startWith(4);
  await expect(startWith(2)).rejects.toThrow(
    'QUEUE_SHARDS is 2, but a process is alive with another number (4): set QUEUE_SHARDS=4, or stop all processes',
  );
  await beat.stop();
  await startWith(2);
  const rights = ['~bl:*', '~{bl-queues}:*', '&bl:*', '+@all'];
  await redis.call('ACL', 'SETUSER', 'sharded', 'reset', 'on', '>word', ...rights);
  await expect(startWith(2, own.url.replace('//', '//sharded:word@'))).rejects.toThrow(
    'may not use keys {bl-queues-1}:*.',
  );
});

describe('the rights of the user', () => {
  const sealer = createSealer([randomBytes(32)]);
  const url = () => own.url.replace('//', '//limited:word@');
  const grant = (...rules: string[]) =>
    redis.call('ACL', 'SETUSER', 'limited', 'reset', 'on', '>word', ...rules);
  const RIGHTS = ['~bl:*', '~{bl-queues*}:*', '&bl:*', '+@all', '-@admin', '-@dangerous', '+info'];

  test('are sufficient as given in the fault and in docs/operations.md', async () => {
    await grant(...RIGHTS);
    await start(sealer, url());
    expect(await redis.keys('*check*')).toEqual([]);
    const documented = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    expect(documented).toContain(RIGHTS.join(' '));
  });

  test.each<[string, string[], string]>([
    ['a command', ['-hset', '-unlink'], 'may not use HSET, UNLINK. Allow it: ACL SETUSER'],
    ['scripts', ['-@scripting'], 'may not use EVAL, EVALSHA.'],
    ['the keys of queues', ['resetkeys', '~bl:*'], 'may not use keys {bl-queues}:*.'],
    ['the keys', ['resetkeys', '~{bl-queues*}:*'], 'may not use keys bl:*.'],
    ['channels', ['resetchannels'], 'may not use channels bl:*.'],
    ['information', ['-info'], 'may not use INFO.'],
  ])('without %s are reported by what is missing', async (_name, rules, expected) => {
    await grant(...RIGHTS, ...rules);
    await expect(start(sealer, url())).rejects.toThrow(expected);
  });

  test('are checked for every command that the sources send', () => {
    const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((one) =>
      one.endsWith('.ts'),
    );
    const text = files.map((one) => readFileSync(join(SRC, one), 'utf8')).join('\n');
    const sent = [
      ...[...text.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, name = '']) => name),
      ...[...text.matchAll(/\bredis\s*\.([a-z]+?)(?:Buffer)?\(/g)].map(([, name = '']) => name.toUpperCase()),
      ...[...text.matchAll(/\['(?=[A-Z])([A-Z]+)', ?\w*[kK]ey/g)].map(([, name = '']) => name),
    ];
    const local = [
      'ON',
      'ONCE',
      'OFF',
      'CONNECT',
      'DISCONNECT',
      'DUPLICATE',
      'PIPELINE',
      'CALL',
      'PCALL',
      'QUIT',
      'NODES',
    ];
    const unknown = [...new Set(sent)].filter((name) => !COMMANDS.includes(name) && !local.includes(name));
    expect(unknown).toEqual([]);
  });
});

test('the encoding of hashes is seen where the user may not read the settings of Redis', async () => {
  expect(await hasCompactHashes({ redis, prefix: 'bl' })).toBe(true);
  await redis.config('SET', 'hash-max-listpack-value', '64');
  try {
    expect(await hasCompactHashes({ redis, prefix: 'bl' })).toBe(false);
    expect(await redis.dbsize()).toBe(0);
    await redis.config('SET', 'maxmemory', '1');
    expect(await hasCompactHashes({ redis, prefix: 'bl' })).toBeNull();
  } finally {
    await redis.config('SET', 'maxmemory', '0');
    await redis.config('SET', 'hash-max-listpack-value', '4096');
  }
});
