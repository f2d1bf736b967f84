// A TCP proxy for Redis that can hold a command, or close the connection before the reply to a command arrives. This
// stops a process between two steps reliably. It also imitates a bad network.
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** Starts a proxy for the Redis at `url`, or for another server: a disturbance does not depend on the protocol. */
export async function startRedisProxy(url: string): Promise<RedisProxy> {
  const { hostname, port } = new URL(url);
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

  const server = createServer((near) => {
    const far = createConnection(Number(port), hostname);
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
      if (cut === null) return toNear(data);
      near.destroy();
      cut();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = new URL(url);
  own.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url: own.href,
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
      server.close();
      await once(server, 'close');
    },
  };
}
