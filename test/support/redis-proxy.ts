// A TCP proxy for Redis that can hold a command, or close the connection before the reply to a command arrives. This
// stops a process between two steps reliably. It also imitates a bad network. Nodes that belong together get one port each.
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { readTopology } from '../../src/store/redis/topology.ts';
import { deferred } from './deferred.ts';

interface Trigger {
  command: string;
  onMatch: () => void;
}

export interface RedisProxy {
  url: string;
  /** Holds the next connection that sends `command`, from that command on, until `release`. */
  hold(command: string): { held: Promise<void>; release(): void };
  /** Forwards the next `command` and closes its connection when the reply arrives. Resolves when it is closed. */
  cutReply(command: string): Promise<void>;
  /** Asks for each piece of data how late it arrives, ms, or whether its connection breaks instead; null: no disturbance. */
  disturb(disturbance: (() => number | 'break') | null): void;
  close(): Promise<void>;
}

/**
 * Starts a proxy for the Redis at `url`, or for another server: a disturbance does not depend on the protocol. Of sentinels and a
 * cluster it passes on the nodes of now, whose ports in replies it replaces with its own.
 */
export async function startRedisProxy(url: string): Promise<RedisProxy> {
  const servers: Server[] = [];
  /** The proxy's port for each port of a node. */
  const ports = new Map<string, string>();
  const sockets = new Set<Socket>();
  let holding: (Trigger & { released: Promise<void> }) | null = null;
  let cutting: Trigger | null = null;
  let disturbance: (() => number | 'break') | null = null;

  /** Writes to a socket in order, as late as the disturbance says. */
  const writerTo = (socket: Socket) => {
    let last: Promise<unknown> | null = null;
    return (data: Buffer) => {
      const late = disturbance?.() ?? 0;
      if (late === 'break') return void socket.destroy();
      if (late === 0 && last === null) return void socket.write(data);
      const due = performance.now() + late;
      const written = Promise.resolve(last).then(async () => {
        await sleep(Math.max(0, due - performance.now()));
        socket.write(data);
        if (last === written) last = null;
      });
      last = written;
    };
  };

  const pass = (near: Socket, port: number, host: string) => {
    const far = createConnection(port, host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    const [toNear, toFar] = [writerTo(near), writerTo(far)];
    let waitFor: Promise<void> = Promise.resolve();
    let isHeld = false;
    let cut: (() => void) | null = null;
    near.on('data', (data) => {
      const text = data.toString('latin1').toLowerCase();
      if (holding !== null && text.includes(holding.command)) {
        waitFor = holding.released;
        isHeld = true;
        waitFor.then(() => {
          isHeld = false;
        });
        holding.onMatch();
        holding = null;
      }
      if (cutting !== null && text.includes(cutting.command)) {
        cut = cutting.onMatch;
        cutting = null;
      }
      if (isHeld) waitFor.then(() => toFar(data));
      else toFar(data);
    });
    far.on('data', (data) => {
      if (cut === null) return toNear(ports.size > 1 ? withPorts(data, ports) : data);
      near.destroy();
      cut();
    });
  };
  for (const { hostname, port } of await nodesOf(url)) {
    const server = createServer((near) => pass(near, Number(port), hostname)).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    ports.set(port, String((server.address() as AddressInfo).port));
  }

  return {
    url: url.replaceAll(/([\w.]+):(\d+)(?=[,/?]|$)/g, (given, _host, port) =>
      ports.has(port) ? `127.0.0.1:${ports.get(port)}` : given,
    ),
    hold(command) {
      const { open: release, opened: released } = deferred();
      const held = new Promise<void>((resolve) => {
        holding = { command, onMatch: resolve, released };
      });
      return { held, release };
    },
    cutReply: (command) =>
      new Promise((resolve) => {
        cutting = { command, onMatch: resolve };
      }),
    disturb(given) {
      disturbance = given;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => once(server.close(), 'close')));
    },
  };
}

/** Hosts and ports of the servers behind a URL: of sentinels, they and the primary. */
async function nodesOf(url: string): Promise<{ hostname: string; port: string }[]> {
  const topology = /^redis\+/.test(url) ? readTopology(url) : null;
  const named = (nodes: readonly { host: string; port: number }[]) =>
    nodes.map(({ host, port }) => ({ hostname: host, port: String(port) }));
  if (topology?.kind === 'cluster') return named(topology.nodes);
  if (topology?.kind !== 'sentinel') return [new URL(url)];
  const redis = new Redis({ name: topology.name, sentinels: [...topology.sentinels] });
  await redis.ping();
  const primary = { host: redis.stream.remoteAddress ?? '', port: redis.stream.remotePort ?? 0 };
  redis.disconnect();
  return named([...topology.sentinels, primary]);
}

/** A reply with the proxy's ports. Ports that the system chooses have five digits, so the reply's length stays. */
function withPorts(data: Buffer, ports: ReadonlyMap<string, string>): Buffer {
  const text = data.toString('latin1');
  const own = text.replaceAll(/\b\d{5}\b/g, (port) => ports.get(port) ?? port);
  return own === text ? data : Buffer.from(own, 'latin1');
}
