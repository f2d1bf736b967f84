// A store whose commits a test holds up, repeats or lets fail.
import type { Redis } from 'ioredis';
import { commit } from '../../src/store/redis/commit.ts';
import type { TestDb } from './db.ts';

type Sent = Parameters<Redis['sendCommand']>;

/** First arguments of the command that carries out a commit: the digest of its script, and its text. */
const scripts: unknown[] = [];
await commit(
  {
    async sendCommand({ args: [script] }: Sent[0]) {
      scripts.push(script);
      if (scripts.length === 1) throw new Error('NOSCRIPT');
      return [1];
    },
  } as unknown as Redis,
  { guards: [], writes: [] },
);

/** The store with its commits intercepted. @param how is given each commit, to carry it out or not. */
export function interceptCommits(
  db: TestDb,
  how: (commitIt: () => Promise<unknown>) => Promise<unknown>,
): TestDb {
  const redis = new Proxy(db.redis, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'sendCommand') return value.bind(target) as unknown;
      return (...sent: Sent) => {
        const send = async () => Reflect.apply(value, target, sent) as unknown;
        return scripts.includes(sent[0].args[0]) ? how(send) : send();
      };
    },
  });
  return { ...db, redis };
}
