// A primary with replicas and three sentinels on loopback, as processes that a test can freeze and kill.
import { DURABLE, type NodeTls, openRedisNodes, type RedisNode, until } from './redis-nodes.ts';

const GROUP = 'mymaster';

export interface SentinelSystem {
  /** A `REDIS_URL`, without credentials. */
  readonly url: string;
  readonly replicas: number;
  readonly nodes: readonly RedisNode[];
  readonly sentinels: readonly RedisNode[];
  /** The node that the sentinels name as the primary. */
  primary(): Promise<RedisNode>;
  /** Makes a replica the primary by hand. */
  failOver(): Promise<void>;
  /** Ends all processes and deletes their data. */
  stop(): Promise<void>;
}

export interface SentinelOptions {
  replicas?: number;
  /** Lines for the configuration of every data node, and of every sentinel. */
  settings?: readonly string[];
  sentinelSettings?: readonly string[];
  tls?: NodeTls;
  /** User and password of the sentinels, for the helper itself. */
  sentinelUser?: { username: string; password: string };
}

/** Starts them; resolves when all sentinels know the replicas and each other. */
export async function startSentinels(options: SentinelOptions = {}): Promise<SentinelSystem> {
  const { replicas = 2, settings = [], sentinelSettings = [], tls } = options;
  const { add, ask, stop } = await openRedisNodes('sentinels', { tls, user: options.sentinelUser });
  const first = await add(() => [...DURABLE, ...settings]);
  const nodes = [first];
  for (let count = 0; count < replicas; count += 1)
    nodes.push(await add(() => [...DURABLE, `replicaof 127.0.0.1 ${first.port}`, ...settings]));
  const sentinels: RedisNode[] = [];
  for (let count = 0; count < 3; count += 1)
    sentinels.push(
      await add(
        () => [
          `sentinel monitor ${GROUP} 127.0.0.1 ${first.port} 2`,
          `sentinel down-after-milliseconds ${GROUP} 1000`,
          `sentinel failover-timeout ${GROUP} 3000`,
          `sentinel parallel-syncs ${GROUP} 2`,
          ...sentinelSettings,
        ],
        '--sentinel',
      ),
    );
  await Promise.all(
    sentinels.map(({ port }) =>
      until('the sentinels are not ready', async () => {
        const fields = await ask<string[]>(port, 'SENTINEL', 'MASTER', GROUP);
        const of = (name: string) => Number(fields[fields.indexOf(name) + 1]);
        if (of('num-slaves') < replicas || of('num-other-sentinels') < 2) return false;
        const known = await ask<string[][]>(port, 'SENTINEL', 'REPLICAS', GROUP);
        return known.every((one) => one[one.indexOf('master-link-status') + 1] === 'ok');
      }),
    ),
  );

  const addressOfPrimary = async () => {
    // The first one may be frozen.
    for (const { port } of sentinels.toReversed()) {
      const address = await ask<string[]>(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', GROUP).catch(
        () => null,
      );
      if (address !== null) return Number(address[1]);
    }
    throw new Error('no sentinel answers');
  };
  return {
    url: `${tls ? 'rediss' : 'redis'}+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${GROUP}`,
    replicas,
    nodes,
    sentinels,
    stop,
    async primary() {
      const port = await addressOfPrimary();
      const found = nodes.find((one) => one.port === port);
      if (found === undefined) throw new Error(`no node has port ${port}`);
      return found;
    },
    async failOver() {
      const before = await addressOfPrimary();
      await until('no other node has become the primary', async () => {
        if ((await addressOfPrimary()) !== before) return true;
        // Refused while one is under way. On a busy machine that may be given up.
        await ask(sentinels.at(-1)?.port ?? 0, 'SENTINEL', 'FAILOVER', GROUP);
        return false;
      });
    },
  };
}
