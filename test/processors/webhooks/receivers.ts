// Receivers for the sender's tests, and the sender: real servers on loopback, well-behaved and hostile, that count what
// reaches them and close with the test.

import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
  type TcpNetConnectOpts,
} from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished } from 'vitest';
import { createAddressPolicy } from '../../../src/egress/address-guard.ts';
import {
  type SenderOptions,
  type SendOutcome,
  WebhookSender,
} from '../../../src/processors/webhooks/sender.ts';

export const LOOPBACK = createAddressPolicy(['127.0.0.0/8']);
/** For tests of the deadline. */
export const TIMEOUT_MS = 300;
/** A deadline for attempts that must end by themselves long before it, however busy the machine is. */
export const LONG_MS = 25_000;
/** Tolerance for a busy machine, less than the delay of a deadline that does not work. */
export const SLACK_MS = 2000;

/** A sender that may reach loopback and is closed with the test. */
export function startSender(options: Partial<SenderOptions> = {}): WebhookSender {
  const sender = new WebhookSender({ policy: LOOPBACK, timeoutMs: LONG_MS, ...options });
  onTestFinished(() => sender.close());
  return sender;
}

/** One delivery by a sender of its own. */
export async function send(
  to: Receiver | string,
  options: Partial<SenderOptions> = {},
): Promise<SendOutcome> {
  const sender = startSender(options);
  return await sender.send({ url: typeof to === 'string' ? to : to.url, headers: {}, body: '{}' });
}

/**
 * A dialler for tests of the guard: keeps what it was asked for, and goes to loopback whatever that was, so
 * that a guard that fails is seen here and not on somebody's network.
 */
export function watchedDialler() {
  const asked: TcpNetConnectOpts[] = [];
  const connectTcp = (options: TcpNetConnectOpts) => {
    asked.push(options);
    return connect(options.port, '127.0.0.1');
  };
  return { asked, connectTcp };
}

/** Waits for a condition that other tasks of the event loop bring about. */
export const until = (condition: () => boolean) => expect.poll(condition, { timeout: 5000 }).toBe(true);

export interface Receiver {
  readonly port: number;
  readonly url: string;
  /** Connections that were ever accepted. */
  connections: number;
  /** Bytes received on all of them. */
  received: number;
  /** Connections that the peer has not closed. */
  readonly open: Set<Socket>;
}

async function listen(server: Server): Promise<Receiver> {
  const open = new Set<Socket>();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    receiver.connections += 1;
    open.add(socket);
    sockets.add(socket);
    socket.on('data', (chunk) => {
      receiver.received += chunk.length;
    });
    socket.on('error', () => {});
    socket.on('end', () => open.delete(socket));
    socket.on('close', () => {
      open.delete(socket);
      sockets.delete(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    port,
    url: `http://127.0.0.1:${port}/hook`,
    connections: 0,
    received: 0,
    open,
  };
  onTestFinished(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return receiver;
}

export type Seen = { request: IncomingMessage; body: Buffer };

/** A Node HTTP server that has read each request before it answers. */
export async function startHttp(
  answer: (response: ServerResponse, seen: Seen) => void = (response) => response.end('ok'),
): Promise<Receiver & { seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createHttpServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const one = { request, body: Buffer.concat(chunks) };
    seen.push(one);
    answer(response, one);
  });
  // Longer than any test: a socket that closes was closed by the sender.
  server.keepAliveTimeout = 60_000;
  return Object.assign(await listen(server), { seen });
}

/** A plain TCP server, for behaviour that no HTTP server has. `talk` is called with each connection. */
export async function startTcp(talk: (socket: Socket) => void): Promise<Receiver> {
  return await listen(createTcpServer({ allowHalfOpen: true }, talk));
}

/** A plain TCP server that writes `text` when the first bytes of a request arrive, and again `everyMs`. */
export async function startSaying(text: string, then?: { everyMs: number; text: string }): Promise<Receiver> {
  return await startTcp((socket) => {
    socket.once('data', () => {
      socket.write(text);
      if (then === undefined) return;
      const timer = setInterval(() => socket.write(then.text), then.everyMs);
      socket.once('close', () => clearInterval(timer));
    });
  });
}

/** A TLS server that answers 200; `received` counts the bytes under TLS. */
export async function startTls(identity: {
  key: string;
  cert: string;
}): Promise<Receiver & { names: unknown[]; resumed: number }> {
  const server = createTlsServer(identity, (socket) => {
    seen.names.push(socket.servername);
    if (socket.isSessionReused()) seen.resumed += 1;
    socket.on('error', () => {});
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
  });
  server.on('tlsClientError', () => {});
  const seen = Object.assign(await listen(server), { names: [] as unknown[], resumed: 0 });
  return seen;
}

/** Writes without end, as fast as the peer reads. */
export function pour(socket: Socket, chunk: string): void {
  const write = () => {
    while (!socket.destroyed && socket.write(chunk)) {
      // Until the peer's window is full.
    }
  };
  socket.on('drain', write);
  write();
}

/** A port of loopback on which no server listens. */
export async function closedPort(): Promise<number> {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

/** A key and a self-signed certificate (RFC 5280) for a host name, created for this run and valid until 2099. */
export function createIdentity(host: string): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const sequence = (...parts: Buffer[]) => der(0x30, ...parts);
  const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
  const ecdsaSha256 = sequence(oid('2a8648ce3d040302'));
  const name = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(host)))));
  const validity = sequence(
    der(0x17, Buffer.from('200101000000Z')),
    der(0x18, Buffer.from('20990101000000Z')),
  );
  const altNames = sequence(der(0x82, Buffer.from(host)));
  const extensions = der(0xa3, sequence(sequence(oid('551d11'), der(0x04, altNames))));
  const version = der(0xa0, der(0x02, Buffer.from([2])));
  const serial = der(0x02, Buffer.from([1]));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const body = sequence(version, serial, ecdsaSha256, name, validity, name, spki, extensions);
  const signature = sign('sha256', body, privateKey);
  const cert = sequence(body, ecdsaSha256, der(0x03, Buffer.from([0]), signature));
  const lines = cert.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}
