// Faults of Redis: refused writes, broken connections, lost keys, damaged files.

import { execFile } from 'node:child_process';
import { appendFile, cp, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SystemOptions } from '../system.ts';
import {
  appendedFile,
  commanded,
  configured,
  deleteKeys,
  type Fault,
  killed,
  pause,
  type Scene,
} from './scene.ts';

const run = promisify(execFile);
/** Redis goes on when its file may not grow, as on a full disk. */
const FULL_DISK: SystemOptions = { redisWrapper: ['env', '--ignore-signal=XFSZ'] };

/** Kills Redis, lets `damage` change its files, and starts it. */
const whileDown =
  (damage: (scene: Scene) => Promise<void>): Fault['inject'] =>
  async (scene) => {
    await scene.system.kill('redis');
    await damage(scene);
    await scene.system.start('redis');
  };

const fullDisk: Fault['inject'] = async ({ system }) => {
  const limit = (bytes: string) => run('prlimit', ['--pid', String(system.pid('redis')), `--fsize=${bytes}`]);
  const { size } = await stat(await appendedFile(system.redisDir));
  await limit(`${size + 2000}:`);
  return async () => {
    await limit('unlimited:');
  };
};

const memoryIsFull = async ({ redis }: Scene) => {
  const [, used = '0'] = /used_memory:(\d+)/.exec(await redis.info('memory')) ?? [];
  return { maxmemory: String(Number(used) + 50_000) };
};

/** Puts back what Redis had some seconds ago. */
const oldBackup: Fault['inject'] = async ({ system, redis }) => {
  const [live, backup] = [join(system.redisDir, 'appendonlydir'), join(system.redisDir, 'backup')];
  await cp(live, backup, { recursive: true });
  await pause(3000);
  void redis;
  await system.kill('redis');
  await rm(live, { recursive: true });
  await cp(backup, live, { recursive: true });
  await rm(backup, { recursive: true });
  await system.start('redis');
};

const outboxes = (redis: Scene['redis']) => redis.keys('bl:{*}:outbox');

export const REDIS_FAULTS: readonly Fault[] = [
  {
    name: 'CLIENT KILL of all connections, 5 times',
    inject: commanded(5, 'CLIENT', 'KILL', 'TYPE', 'normal'),
  },
  { name: 'CLIENT KILL of subscribers, 5 times', inject: commanded(5, 'CLIENT', 'KILL', 'TYPE', 'pubsub') },
  { name: 'SCRIPT FLUSH, 10 times', inject: commanded(10, 'SCRIPT', 'FLUSH') },
  { name: 'DEBUG SLEEP 3 s, twice', inject: commanded(2, 'DEBUG', 'SLEEP', 3) },
  { name: 'CLIENT PAUSE 5 s', inject: commanded(1, 'CLIENT', 'PAUSE', 5000), holdMs: 5000 },
  {
    name: 'Redis is a read-only replica for 5 s',
    async inject({ redis }) {
      await redis.call('REPLICAOF', '127.0.0.1', 1);
      return async () => {
        await redis.call('REPLICAOF', 'NO', 'ONE');
      };
    },
    holdMs: 5000,
  },
  { name: 'maxmemory reached for 6 s', inject: configured(memoryIsFull), holdMs: 6000 },
  { name: 'Redis refuses new connections, old ones killed', holdMs: 5000, inject: noConnections },
  { name: 'disk of Redis full for 6 s', inject: fullDisk, holdMs: 6000, system: FULL_DISK },
  {
    name: "keys of BullMQ's queues deleted",
    async inject(scene) {
      scene.note = `${await deleteKeys(scene.redis, '{bl-queues*')} keys deleted`;
    },
  },
  {
    name: 'delayed jobs deleted',
    async inject(scene) {
      scene.note = `${await deleteKeys(scene.redis, '{bl-queues*:delayed')} sets deleted`;
    },
  },
  {
    name: 'outbox group deleted',
    async inject({ redis }) {
      for (const key of await outboxes(redis))
        await redis.call('XGROUP', 'DESTROY', key, 'relay').catch(() => 0);
    },
  },
  {
    name: 'all pub/sub connections and scripts gone, while a worker is killed',
    async inject(scene) {
      await Promise.all([
        commanded(3, 'CLIENT', 'KILL', 'TYPE', 'pubsub')(scene),
        commanded(3, 'SCRIPT', 'FLUSH')(scene),
      ]);
      return killed('worker 1')(scene);
    },
  },
  {
    name: 'AOF ends in half a command (torn write)',
    inject: whileDown(async ({ system }) => {
      await appendFile(await appendedFile(system.redisDir), '*3\r\n$4\r\nHSET\r\n$20\r\nbl:{p00}:half');
    }),
  },
  {
    name: 'AOF rewritten, then kill -9 Redis',
    async inject(scene) {
      await scene.redis.call('BGREWRITEAOF');
      await pause(scene.random.integer(0, 500));
      return killed('redis')(scene);
    },
  },
  {
    name: 'AOF truncated by 20 kB of acknowledged writes',
    losesWrites: true,
    inject: whileDown(async ({ system }) => {
      const file = await appendedFile(system.redisDir);
      await truncate(file, Math.max(0, (await stat(file)).size - 20_000));
    }),
  },
  { name: 'backup of 3 s ago restored', losesWrites: true, inject: oldBackup },
];

async function noConnections({ redis }: Scene): Promise<() => Promise<void>> {
  const heal = await configured(() => ({ maxclients: '1' }))({ redis } as Scene);
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal');
  return async () => {
    await heal?.();
  };
}
