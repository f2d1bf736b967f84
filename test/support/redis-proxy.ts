// A wire to Redis that a test can pinch: it holds a command on its way there, or cuts the wire before the
// answer to it comes back. Only so can a request be caught between two of its steps, each time.
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { gate } from './gate.ts';

interface Trap {
  command: string;
  sprung: () => void;
}

export interface RedisProxy {
  url: string;
  /** Holds the connection that next sends `command`, from that command on, until `release`. */
  hold(command: string): { held: Promise<void>; release(): void };
  /** Lets the next `command` through and cuts its connection when the answer comes. Resolves when it is cut. */
  cutAnswer(command: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens the wire to the Redis at `url`. */
export async function startRedisProxy(url: string): Promise<RedisProxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let reservations: (Trap & { released: Promise<void> }) | null = null;
  let cutting: Trap | null = null;

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
    let waitFor: Promise<void> = Promise.resolve();
    let isHeld = false;
    let cut: (() => void) | null = null;
    near.on('data', (data) => {
      const text = data.toString('latin1').toLowerCase();
      if (reservations !== null && text.includes(reservations.command)) {
        waitFor = reservations.released;
        isHeld = true;
        waitFor.then(() => {
          isHeld = false;
        });
        reservations.sprung();
        reservations = null;
      }
      if (cutting !== null && text.includes(cutting.command)) {
        cut = cutting.sprung;
        cutting = null;
      }
      if (isHeld) waitFor.then(() => far.write(data));
      else far.write(data);
    });
    far.on('data', (data) => {
      if (cut === null) return near.write(data);
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
      const { open: release, after: released } = gate();
      const held = new Promise<void>((resolve) => {
        reservations = { command, sprung: resolve, released };
      });
      return { held, release };
    },
    cutAnswer: (command) =>
      new Promise((resolve) => {
        cutting = { command, sprung: resolve };
      }),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
