// Where a fault happens: the running system, and two orgs whose simulations use it. What the faults have in common.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BioLayer } from '@biolayer/sdk';
import type { Redis } from 'ioredis';
import type { Random } from '../../../src/simulation/random.ts';
import type { Receiver } from '../../../src/simulation/receiver.ts';
import type { Mix } from '../../../src/simulation/task-kinds.ts';
import { OPERATOR_TOKEN, type Part, type System, type SystemOptions } from '../system.ts';

export interface Scene {
  system: System;
  /** A direct connection to Redis, which waits while Redis is down. */
  redis: Redis;
  random: Random;
  receivers: readonly Receiver[];
  /** Set by faults: what a reader of the table should know besides. */
  note: string;
  /** Findings of a fault of its own. */
  findings: string[];
}

/** A row of the table of faults. */
export interface Fault {
  name: string;
  /** Starts the fault; what it returns undoes it. Without it, the fault is over when `inject` resolves. */
  inject(scene: Scene): Promise<(() => Promise<void> | void) | void>;
  /** From the injection until it is undone, ms. */
  holdMs?: number;
  /** Why it is not run, for the table; null: it is. */
  skipped?: string | null;
  /** Time limit of the row, ms; default: four minutes. */
  limitMs?: number;
  /** How the system is started for it; other faults with the same options use the same system. */
  system?: SystemOptions | (() => Promise<SystemOptions>);
  /** What the tasks are; default: all kinds that are not raced. */
  mix?: Mix;
  /**
   * It takes acknowledged writes away, as a restored backup does: what happened before is not checked afterwards, but what
   * happens then is. Lost tasks are counted.
   */
  losesWrites?: true;
}

/** The client of the operator. */
export function operatorOf({ url }: System): BioLayer {
  return new BioLayer({ apiKey: OPERATOR_TOKEN, baseUrl: url, maxRetries: 8, timeoutMs: 10_000 });
}

/** A new org. @returns the client of a test key with all scopes, and the key. */
export async function newOrg(system: System, name: string): Promise<{ api: BioLayer; apiKey: string }> {
  const { api_key } = await operatorOf(system).admin.createOrg({ name });
  const patient = { baseUrl: system.url, maxRetries: 8, timeoutMs: 10_000 };
  const live = new BioLayer({ apiKey: api_key, ...patient });
  const { key } = await live.apiKeys.create({ name: 'Trial', scopes: ['*'], mode: 'test' });
  return { api: new BioLayer({ apiKey: key, ...patient }), apiKey: key };
}

/** Kills parts at once; the heal starts them again. */
export const killed =
  (...parts: Part[]): Fault['inject'] =>
  async ({ system }) => {
    await Promise.all(parts.map((part) => system.kill(part)));
    return async () => {
      // The others exit without Redis.
      if (parts.includes('redis')) await system.start('redis');
      await Promise.all(parts.filter((part) => part !== 'redis').map((part) => system.start(part)));
    };
  };

/** Suspends parts with SIGSTOP; the heal resumes them. */
export const suspended =
  (...parts: Part[]): Fault['inject'] =>
  async ({ system }) => {
    for (const part of parts) system.signal(part, 'SIGSTOP');
    return () => {
      for (const part of parts) system.signal(part, 'SIGCONT');
    };
  };

/** Sends a command to Redis `times` times, at random moments of six seconds. */
export const commanded =
  (times: number, ...command: [string, ...(string | number)[]]): Fault['inject'] =>
  async ({ redis, random }) => {
    for (let nth = 0; nth < times; nth += 1) {
      await pause(random.integer(200, 6000 / times));
      const [name, ...args] = command;
      // Redis may end the connection of the command itself.
      await redis.call(name, ...args).catch(() => undefined);
    }
  };

/** Changes settings of Redis; the heal sets their former values. */
export const configured =
  (settings: (scene: Scene) => Promise<Record<string, string>> | Record<string, string>): Fault['inject'] =>
  async (scene) => {
    const { redis } = scene;
    const changed = await settings(scene);
    const before: [string, string][] = [];
    for (const [name, value] of Object.entries(changed)) {
      before.push([name, await settingOf(redis, name)]);
      await redis.config('SET', name, value);
    }
    return async () => {
      for (const [name, value] of before) await redis.config('SET', name, value);
    };
  };

/** The value of a setting of Redis. */
async function settingOf(redis: Redis, name: string): Promise<string> {
  // RESP3 answers with a map, RESP2 with a list.
  const answer = (await redis.call('CONFIG', 'GET', name)) as string[] | Record<string, string>;
  return (Array.isArray(answer) ? answer[1] : answer[name]) ?? '';
}

/** Deletes all keys that match. @returns how many */
export async function deleteKeys(redis: Redis, pattern: string): Promise<number> {
  let count = 0;
  for await (const keys of redis.scanStream({ match: pattern, count: 500 }) as AsyncIterable<string[]>)
    if (keys.length > 0) count += await redis.del(...keys);
  return count;
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The file to which Redis appends. */
export async function appendedFile(dir: string): Promise<string> {
  const folder = join(dir, 'appendonlydir');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.incr.aof')).sort();
  return join(folder, names.at(-1) ?? '');
}
