// Checks that a Redis is suitable: its version, the rights of the user, and settings that keep data durable. What cannot
// work is a fault that keeps the process from starting; what may lose data is a warning.

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { queuePrefix } from '../queues/shards.ts';
import { readInfo } from '../store/redis/info.ts';
import { StartupFault } from './startup-fault.ts';

interface Log {
  warn(fields: object, message: string): void;
}

const OLDEST_MAJOR = 7;

/**
 * Every command that BioLayer and BullMQ send, with arguments that change nothing: the key `K` holds a string, so Redis
 * refuses commands for other types, but only after it has checked the rights of the user.
 */
const KEY_COMMANDS = [
  'SET K v PX 5000',
  'GET K',
  'MGET K',
  'EXISTS K',
  'TYPE K',
  'PTTL K',
  'PEXPIRE K 5000',
  'PEXPIREAT K 99999999999999',
  'PERSIST K',
  'INCR K',
  'INCRBY K 1',
  'RENAME K K',
  'HSET K f v',
  'HSETNX K f v',
  'HMSET K f v',
  'HGET K f',
  'HMGET K f',
  'HGETALL K',
  'HKEYS K',
  'HLEN K',
  'HEXISTS K f',
  'HINCRBY K f 1',
  'HDEL K f',
  'LINDEX K 0',
  'LLEN K',
  'LPOP K',
  'LPOS K v',
  'LPUSH K v',
  'LRANGE K 0 1',
  'LREM K 1 v',
  'LSET K 0 v',
  'LTRIM K 0 1',
  'RPOP K',
  'RPOPLPUSH K K',
  'RPUSH K v',
  'SADD K v',
  'SCARD K',
  'SISMEMBER K v',
  'SMISMEMBER K v',
  'SMEMBERS K',
  'SRANDMEMBER K',
  'SREM K v',
  'ZADD K 1 v',
  'ZCARD K',
  'ZCOUNT K 0 1',
  'ZINTERCARD 1 K',
  'ZLEXCOUNT K - +',
  'ZMSCORE K v',
  'ZPOPMIN K',
  'ZRANDMEMBER K 1',
  'BZPOPMIN K 1',
  'ZRANGE K 0 1',
  'ZRANGEBYLEX K - +',
  'ZRANGEBYSCORE K 0 1',
  'ZREM K v',
  'ZREMRANGEBYLEX K - +',
  'ZREMRANGEBYRANK K 0 1',
  'ZREMRANGEBYSCORE K 0 1',
  'ZREVRANGE K 0 1',
  'ZREVRANGEBYLEX K + -',
  'ZREVRANGEBYSCORE K 1 0',
  'ZSCAN K 0',
  'ZSCORE K v',
  'XACK K g 1-1',
  'XADD K * f v',
  'XAUTOCLAIM K g c 1 0',
  'XCLAIM K g c 0 1-1',
  'XDEL K 1-1',
  'XGROUP CREATE K g $',
  'XINFO STREAM K',
  'XLEN K',
  'XPENDING K g',
  'XRANGE K - +',
  'XREAD COUNT 1 STREAMS K 0',
  'XREADGROUP GROUP g c COUNT 1 STREAMS K >',
  'XREVRANGE K + -',
  'XTRIM K MAXLEN 1',
  'DEL K',
  'DECR K',
  'UNLINK K',
  'MEMORY USAGE K',
  'OBJECT ENCODING K',
] as const;

/** Commands that name no key. `C` is a channel. */
const OTHER_COMMANDS = [
  'INFO server',
  'TIME',
  'PING',
  'EVAL return(1) 0',
  'SPUBLISH C v',
  'WAIT 0 1',
] as const;

/** Commands that a Redis Cluster needs besides. */
const CLUSTER_COMMANDS = ['CLUSTER SLOTS', 'CLUSTER INFO', 'ASKING'] as const;

/** Names of all commands that the user must be allowed to run, in capitals. */
export const COMMANDS: readonly string[] = [
  ...[...KEY_COMMANDS, ...OTHER_COMMANDS].map((one) => one.slice(0, one.indexOf(' ')) || one),
  'TIME',
  'PING',
  'EVALSHA',
  'SSUBSCRIBE',
  'SUNSUBSCRIBE',
  'MULTI',
  'EXEC',
  'CLUSTER',
  'ASKING',
];

/**
 * Checks a server of Redis, and logs a warning for settings that may lose data.
 * @param prefix first part of every key.
 * @param expected how many replicas must confirm writes, none by default; the number of shards of the queues, by default one;
 *   whether REDIS_URL names a cluster.
 * @throws StartupFault when the user lacks a right, it is part of a cluster that REDIS_URL does not name as such, or its
 *   version is too old.
 */
export async function checkRedis(
  redis: Redis,
  prefix: string,
  log: Log,
  { durabilityReplicas = 0, queueShards = 1, isCluster = false } = {},
): Promise<void> {
  await checkRights(redis, prefix, queueShards, isCluster ? CLUSTER_COMMANDS : []);
  const info = await readInfo(redis);
  if (info.get('cluster_enabled') === '1' && !isCluster)
    throw new StartupFault(
      'REDIS_URL names a node of a Redis Cluster: name the cluster, as in redis+cluster://host:6379,host:6379',
    );
  const version = info.get('redis_version') ?? '';
  if (Number.parseInt(version, 10) < OLDEST_MAJOR)
    throw new StartupFault(
      `Redis has version ${version}: BioLayer needs ${OLDEST_MAJOR}.0 or newer, or Valkey`,
    );
  const policy = info.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction')
    log.warn(
      { setting: 'maxmemory-policy', value: policy },
      'Redis evicts tasks and jobs when its memory is full. Set maxmemory-policy noeviction',
    );
  const replicas = Number(info.get('connected_slaves'));
  if (replicas < durabilityReplicas)
    log.warn(
      { setting: 'DURABILITY_REPLICAS', value: durabilityReplicas, replicas },
      'Redis has fewer replicas: all changes are answered with 503 until it has as many',
    );
  if (info.get('aof_enabled') === '0')
    log.warn(
      { setting: 'appendonly', value: 'no' },
      'Redis loses acknowledged writes when it stops. Set appendonly yes and appendfsync everysec',
    );
}

/** @throws StartupFault that lists the commands, keys and channels the user may not use, and the ACL rule that allows them. */
async function checkRights(
  redis: Redis,
  prefix: string,
  shards: number,
  more: readonly string[],
): Promise<void> {
  const suffix = `check:${randomBytes(6).toString('hex')}`;
  // A rule that allows the first and the last shard allows those in between, unless it names them one by one.
  const prefixes = [...new Set([queuePrefix(prefix, 0), queuePrefix(prefix, shards - 1)])];
  const keys = [prefix, ...prefixes].map((one) => `${one}:${suffix}`);
  const channel = `${prefix}:${suffix}`;
  const commands = [
    ...keys.flatMap((key) => KEY_COMMANDS.map((one) => ({ one, key }))),
    ...[...OTHER_COMMANDS, ...more].map((one) => ({ one, key: '' })),
  ].map(({ one, key }) => one.split(' ').map((word) => (word === 'K' ? key : word === 'C' ? channel : word)));
  const refused = new Set<string>();
  const refuse = (error: unknown, command: string, name: string) => {
    if (!(error instanceof Error) || !error.message.includes('NOPERM')) return;
    if (/\bkey/i.test(error.message)) refused.add(`keys ${name.slice(0, -suffix.length)}*`);
    else if (/\bchannel/i.test(error.message)) refused.add(`channels ${prefix}:*`);
    else refused.add(command);
  };
  await Promise.all(
    commands.map(async ([command = '', ...args]) => {
      const name = args.find((one) => keys.includes(one)) ?? channel;
      await redis.call(command, ...args).catch((error) => refuse(error, command, name));
    }),
  );
  await redis.evalsha('0'.repeat(40), 0).catch((error) => refuse(error, 'EVALSHA', channel));
  await redis
    .multi()
    .ping()
    .exec()
    .catch((error) => refuse(error, 'MULTI', channel));
  await redis.ssubscribe(channel).catch((error) => refuse(error, 'SSUBSCRIBE', channel));
  await redis.sunsubscribe(channel).catch((error) => refuse(error, 'SUNSUBSCRIBE', channel));
  if (refused.size === 0) return;
  const rights = `~${prefix}:* ~{${prefix}-queues*}:* &${prefix}:* +@all -@admin -@dangerous +info`;
  throw new StartupFault(
    `the user in REDIS_URL may not use ${[...refused].join(', ')}. Allow it: ACL SETUSER <user> ${rights}`,
  );
}
