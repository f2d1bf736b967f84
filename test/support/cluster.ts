// A Redis Cluster on loopback: masters with replicas, as processes that a test can freeze, kill and add to, and whose slots
// it can move.
import { setTimeout as sleep } from 'node:timers/promises';
import { DURABLE, type NodeTls, openRedisNodes, type RedisNode, until } from './redis-nodes.ts';

const SLOTS = 16_384;
/** A replica that was asked to take over gives that up after five seconds. */
const FAILOVER_LIMIT = 6000;

export interface RedisCluster {
  /** A `REDIS_URL` that names all nodes of the start, without credentials. */
  readonly url: string;
  readonly nodes: readonly RedisNode[];
  /** The node that has a slot. */
  masterOf(slot: number): Promise<RedisNode>;
  /** All nodes that have slots. */
  masters(): Promise<RedisNode[]>;
  /** Makes the replica of a master its successor by hand; resolves when it is. */
  failOver(master: RedisNode): Promise<void>;
  /** Adds a master without slots, with as many replicas as the others have. */
  addMaster(): Promise<RedisNode>;
  /** Moves a slot with its keys, ten at a time. @param pause between two moves, ms */
  moveSlot(slot: number, to: RedisNode, pause?: number): Promise<void>;
  ask<T>(node: RedisNode, ...command: [string, ...(string | number)[]]): Promise<T>;
  /** Ends all processes and deletes their data. */
  stop(): Promise<void>;
}

export interface ClusterOptions {
  masters?: number;
  /** Of each master. */
  replicas?: number;
  /** Lines for the configuration of every node. */
  settings?: readonly string[];
  tls?: NodeTls;
  /** For the helper itself. */
  user?: { username: string; password: string };
}

/** Starts it; resolves when every node sees all slots served and every replica has its master's data. */
export async function startCluster(options: ClusterOptions = {}): Promise<RedisCluster> {
  const { masters: count = 3, replicas = 1, settings = [], tls, user } = options;
  const { add, ask: askPort, stop } = await openRedisNodes('cluster', { tls, user });
  const addNode = () =>
    add((port) => [
      ...DURABLE,
      'cluster-enabled yes',
      `cluster-config-file nodes-${port}.conf`,
      'cluster-node-timeout 1000',
      'cluster-replica-validity-factor 0',
      ...(tls ? ['tls-cluster yes'] : []),
      ...settings,
    ]);
  const nodes: RedisNode[] = [];
  const ask = <T>(node: RedisNode, ...command: [string, ...(string | number)[]]) =>
    askPort<T>(node.port, ...command);
  const idOf = (node: RedisNode) => ask<string>(node, 'CLUSTER', 'MYID');
  /** The lines of CLUSTER NODES: id, address, flags, master, …, slots. */
  const table = async (node: RedisNode) =>
    (await ask<string>(node, 'CLUSTER', 'NODES'))
      .trim()
      .split('\n')
      .map((line) => {
        const [id = '', address = '', flags = '', master = '', , , , link = '', ...slots] = line.split(' ');
        return { id, port: Number(/:(\d+)@/.exec(address)?.[1]), flags, master, link, slots };
      });
  const slotsOf = (slots: readonly string[]) =>
    slots.filter((one) => !one.startsWith('[')).map((one) => one.split('-').map(Number));
  /** As the majority of the nodes that answer says. */
  const masterPorts = async () => {
    for (const node of nodes.toReversed()) {
      const [rows, info] = await Promise.all([
        table(node).catch(() => null),
        ask<string>(node, 'CLUSTER', 'INFO').catch(() => ''),
      ]);
      if (rows === null || !info.includes('cluster_state:ok')) continue;
      return rows.filter(({ flags, slots }) => flags.includes('master') && slotsOf(slots).length > 0);
    }
    throw new Error('no node of the cluster is in order');
  };
  const nodeAt = (port: number) => {
    const found = nodes.find((one) => one.port === port);
    if (found === undefined) throw new Error(`no node has port ${port}`);
    return found;
  };
  const knowEachOther = () =>
    until('the nodes do not know each other', async () => {
      const tables = await Promise.all(nodes.map(table));
      return tables.every(
        (rows) =>
          rows.length === nodes.length &&
          rows.every(({ flags, link }) => !flags.includes('handshake') && link === 'connected'),
      );
    });
  const meet = async (node: RedisNode, other: RedisNode) => {
    await ask(node, 'CLUSTER', 'MEET', '127.0.0.1', other.port);
  };

  for (let index = 0; index < count * (replicas + 1); index += 1) {
    const node = await addNode();
    nodes.push(node);
    await ask(node, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (index < count)
      await ask(
        node,
        'CLUSTER',
        'ADDSLOTSRANGE',
        Math.floor((SLOTS * index) / count),
        Math.floor((SLOTS * (index + 1)) / count) - 1,
      );
    const [first] = nodes;
    if (first !== undefined && first !== node) await meet(node, first);
  }
  await knowEachOther();
  for (const [index, node] of nodes.entries()) {
    const master = nodes[index % count];
    if (index >= count && master !== undefined) await ask(node, 'CLUSTER', 'REPLICATE', await idOf(master));
  }
  await until('the cluster is not ready', async () => {
    const ready = await Promise.all(
      nodes.map(async (node, index) => {
        const [info, replication, rows] = await Promise.all([
          ask<string>(node, 'CLUSTER', 'INFO'),
          ask<string>(node, 'INFO', 'replication'),
          table(node),
        ]);
        const known = rows.filter(({ flags }) => flags.includes('slave')).length;
        return (
          info.includes('cluster_state:ok') &&
          known === count * replicas &&
          (index < count
            ? replication.includes(`connected_slaves:${replicas}`)
            : replication.includes('master_link_status:up'))
        );
      }),
    );
    return ready.every(Boolean);
  });

  const masterOf = async (slot: number) => {
    const found = (await masterPorts()).find(({ slots }) =>
      slotsOf(slots).some(([from = -1, to = from]) => slot >= from && slot <= to),
    );
    if (found === undefined) throw new Error(`no node has slot ${slot}`);
    return nodeAt(found.port);
  };
  return {
    url: `${tls ? 'rediss' : 'redis'}+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    ask,
    stop,
    masterOf,
    masters: async () => (await masterPorts()).map(({ port }) => nodeAt(port)),
    async failOver(master) {
      const id = await idOf(master);
      const replica = (await table(master)).find((row) => row.master === id);
      if (replica === undefined) throw new Error('the master has no replica');
      const successor = nodeAt(replica.port);
      let askedAt = Number.NEGATIVE_INFINITY;
      await until('the replica has not taken over', async () => {
        if ((await table(successor)).some(({ flags }) => flags.includes('myself,master'))) return true;
        if (performance.now() - askedAt < FAILOVER_LIMIT) return false;
        askedAt = performance.now();
        await ask(successor, 'CLUSTER', 'FAILOVER');
        return false;
      });
    },
    async addMaster() {
      const added: RedisNode[] = [];
      for (let index = 0; index <= replicas; index += 1) {
        const node = await addNode();
        await ask(node, 'CLUSTER', 'SET-CONFIG-EPOCH', nodes.length + 1);
        const [first] = nodes;
        if (first !== undefined) await meet(node, first);
        nodes.push(node);
        added.push(node);
      }
      await knowEachOther();
      const [master, ...others] = added;
      if (master === undefined) throw new Error('no node was added');
      for (const node of others) await ask(node, 'CLUSTER', 'REPLICATE', await idOf(master));
      await until('the new node is not ready', async () => {
        const [cluster, replication] = await Promise.all([
          ask<string>(master, 'CLUSTER', 'INFO'),
          ask<string>(master, 'INFO', 'replication'),
        ]);
        return (
          cluster.includes('cluster_state:ok') && replication.split('state=online').length - 1 === replicas
        );
      });
      return master;
    },
    async moveSlot(slot, to, pause = 0) {
      const from = await masterOf(slot);
      const [source, target] = await Promise.all([idOf(from), idOf(to)]);
      await ask(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', source);
      await ask(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', target);
      for (;;) {
        const keys = await ask<string[]>(from, 'CLUSTER', 'GETKEYSINSLOT', slot, 10);
        if (keys.length === 0) break;
        await ask(from, 'MIGRATE', '127.0.0.1', to.port, '', 0, 1000, 'KEYS', ...keys);
        if (pause > 0) await sleep(pause);
      }
      // The target first, so that no node answers with MOVED to one that does not have the slot yet.
      for (const node of [to, from]) await ask(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', target);
    },
  };
}
