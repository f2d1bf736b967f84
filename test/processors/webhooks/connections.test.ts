// How sockets are kept: reused where that is safe, replaced where the peer closed them, never more than the limit, and
// none left over.
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { parseTarget, type Resolver } from '../../../src/egress/address-guard.ts';
import type { Connect } from '../../../src/egress/connect.ts';
import { ConnectionPool } from '../../../src/processors/webhooks/connections.ts';
import { newAttempt } from '../../../src/processors/webhooks/outcome.ts';
import { WebhookSender } from '../../../src/processors/webhooks/sender.ts';
import {
  LONG_MS,
  LOOPBACK,
  SLACK_MS,
  startHttp,
  startSender,
  startTcp,
  until,
  watchedDialler,
} from './receivers.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const requestTo = (url: string) => ({ url, headers: {}, body: '{}' });

describe('keep-alive', () => {
  it('sends 1000 deliveries, 500 at a time, over few sockets', async () => {
    const receiver = await startHttp();
    const sender = startSender({ maxConnectionsPerOrigin: 25 });
    let left = 1000;
    let reused = 0;
    const work = async () => {
      while (left > 0) {
        left -= 1;
        const outcome = await sender.send(requestTo(receiver.url));
        expect(outcome).toMatchObject({ ok: true, body: 'ok' });
        if (outcome.phases.reused) reused += 1;
      }
    };
    await Promise.all(Array.from({ length: 500 }, work));
    expect(receiver.seen).toHaveLength(1000);
    expect(receiver.connections).toBeLessThanOrEqual(25);
    expect(reused / 1000).toBeGreaterThanOrEqual(0.95);
  });

  it('keeps the limit per origin, and serves waiting requests in order', async () => {
    const receiver = await startHttp((response) => setTimeout(() => response.end(), 5));
    const sender = startSender({ maxConnectionsPerOrigin: 1 });
    const urls = Array.from({ length: 10 }, (_, i) => `${receiver.url}/${i}`);
    const outcomes = await Promise.all(urls.map((url) => sender.send(requestTo(url))));
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(receiver.connections).toBe(1);
    expect(receiver.seen.map(({ request }) => request.url)).toEqual(urls.map((url) => new URL(url).pathname));
    expect(outcomes.map(({ phases }) => phases.reused)).toEqual([false, ...Array(9).fill(true)]);
  });

  it('gives the slot of a broken connection to the next waiting request', async () => {
    const receiver = await startTcp((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const sender = startSender({ maxConnectionsPerOrigin: 2 });
    const sends = Array.from({ length: 20 }, () => sender.send(requestTo(receiver.url)));
    for (const outcome of await Promise.all(sends)) expect(outcome.errorClass).toBe('reset');
    expect(receiver.connections).toBe(20);
  });

  it('does not let a silent origin delay another', async () => {
    const silent = await startTcp(() => {});
    const receiver = await startHttp();
    const sender = startSender({ timeoutMs: SLACK_MS, maxConnectionsPerOrigin: 1 });
    const stuck = [1, 2, 3].map(() => sender.send(requestTo(silent.url)));
    const outcome = await sender.send(requestTo(receiver.url));
    expect(outcome.ok).toBe(true);
    expect(outcome.phases.queueMs).toBeNull();
    await Promise.all(stuck);
  });

  it('is not used after `Connection: close` or a response that was not read completely', async () => {
    for (const [headers, body] of [
      [{ connection: 'close' }, 'ok'],
      [{}, 'x'.repeat(100_000)],
    ] as const) {
      const receiver = await startHttp((response) => response.writeHead(200, headers).end(body));
      const sender = startSender();
      for (let i = 0; i < 3; i += 1) expect((await sender.send(requestTo(receiver.url))).ok).toBe(true);
      expect(receiver.connections).toBe(3);
    }
  });
});

describe('waiting for a connection', () => {
  it('ends with its own signal and leaves the queue', async () => {
    const receiver = await startTcp(() => {});
    const open: Connect = async () => ({ socket: connect(receiver.port, '127.0.0.1'), address: '127.0.0.1' });
    const pool = new ConnectionPool({ connect: open, maxPerOrigin: 1, maxAgeMs: LONG_MS });
    const target = parseTarget(receiver.url, LOOPBACK);
    if (!target.ok) throw new Error(target.reason);
    const { trace } = newAttempt(LONG_MS);

    const held = await pool.acquire(target, trace, new AbortController().signal);
    const tooLate = AbortSignal.timeout(20);
    await expect(pool.acquire(target, trace, tooLate)).rejects.toThrow('aborted due to timeout');
    const next = pool.acquire(target, trace, new AbortController().signal);
    pool.release(held, true);
    expect(await next).toBe(held);
    pool.release(held, false);
    await pool.close();
    await until(() => receiver.connections === 1 && receiver.open.size === 0);
  });
});

describe('a name whose addresses change', () => {
  it('is resolved again when the socket is old; until then the socket keeps its peer', async () => {
    const receiver = await startHttp();
    let addresses = ['127.0.0.1'];
    let lookups = 0;
    const resolver: Resolver = async () => {
      lookups += 1;
      return addresses;
    };
    const { connectTcp } = watchedDialler();
    const sender = startSender({
      connectTcp,
      resolver,
      connectionMaxAgeMs: 1000,
      dnsCacheMs: 0,
    });
    const request = requestTo(`http://hooks.example.com:${receiver.port}/`);
    expect(await sender.send(request)).toMatchObject({ ok: true, address: '127.0.0.1' });

    addresses = ['10.0.0.1'];
    expect(await sender.send(request)).toMatchObject({
      ok: true,
      address: '127.0.0.1',
      phases: { reused: true },
    });
    expect(lookups).toBe(1);

    await expect
      .poll(async () => (await sender.send(request)).errorClass, { timeout: 5000 })
      .toBe('address_refused');
    expect(receiver.connections).toBe(1);
    expect(await sender.send(request)).toMatchObject({ ok: false, errorClass: 'address_refused' });
  });
});

describe('a peer that closes the connection', () => {
  it('while it was idle costs no attempt', async () => {
    const receiver = await startTcp((socket) => {
      socket.on('data', () => {
        socket.write(OK);
        socket.end();
      });
    });
    const sender = startSender();
    for (let i = 0; i < 5; i += 1)
      expect(await sender.send(requestTo(receiver.url))).toMatchObject({ ok: true });
    expect(receiver.connections).toBe(5);
  });

  it('as the request arrives gets it once more on a new socket, once', async () => {
    let requests = 0;
    // The first request on each socket is answered, the second one resets it.
    const receiver = await startTcp((socket) => {
      let isUsed = false;
      socket.on('data', () => {
        requests += 1;
        if (isUsed) socket.resetAndDestroy();
        else socket.write(OK);
        isUsed = true;
      });
    });
    const sender = startSender();
    expect(await sender.send(requestTo(receiver.url))).toMatchObject({ ok: true, phases: { reused: false } });
    expect(await sender.send(requestTo(receiver.url))).toMatchObject({ ok: true, phases: { reused: false } });
    expect([requests, receiver.connections]).toEqual([3, 2]);
  });

  it('and refuses the new socket too is a failed attempt', async () => {
    let requests = 0;
    const receiver = await startTcp((socket) => {
      socket.on('data', () => {
        requests += 1;
        if (requests === 1) socket.write(OK);
        else socket.resetAndDestroy();
      });
    });
    const sender = startSender();
    expect((await sender.send(requestTo(receiver.url))).ok).toBe(true);
    expect(await sender.send(requestTo(receiver.url))).toMatchObject({ ok: false, errorClass: 'reset' });
    expect([requests, receiver.connections]).toEqual([3, 2]);
  });

  it('is not assumed when the receiver answers with garbage', async () => {
    let requests = 0;
    const receiver = await startTcp((socket) => {
      socket.on('data', () => {
        requests += 1;
        socket.write(requests === 1 ? OK : 'garbage\r\n\r\n');
      });
    });
    const sender = startSender();
    expect((await sender.send(requestTo(receiver.url))).ok).toBe(true);
    expect(await sender.send(requestTo(receiver.url))).toMatchObject({ ok: false, errorClass: 'protocol' });
    expect([requests, receiver.connections]).toEqual([2, 1]);
  });

  it('during its response does not get the request again', async () => {
    let requests = 0;
    const receiver = await startTcp((socket) => {
      socket.on('data', () => {
        requests += 1;
        socket.write(requests === 1 ? OK : 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc');
        if (requests > 1) setTimeout(() => socket.resetAndDestroy(), 20);
      });
    });
    const sender = startSender();
    expect((await sender.send(requestTo(receiver.url))).ok).toBe(true);
    expect(await sender.send(requestTo(receiver.url))).toMatchObject({
      ok: false,
      status: 200,
      errorClass: 'reset',
    });
    expect([requests, receiver.connections]).toEqual([2, 1]);
  });
});

describe('close', () => {
  it('waits for requests in flight, refuses new ones, and leaves no socket open', async () => {
    const receiver = await startHttp((response) => setTimeout(() => response.end('late'), 100));
    const sender = new WebhookSender({ policy: LOOPBACK, maxConnectionsPerOrigin: 3 });
    const sends = Array.from({ length: 6 }, () => sender.send(requestTo(receiver.url)));
    await until(() => receiver.seen.length > 0);
    const closing = Promise.all([sender.close(), sender.close()]);
    expect(await sender.send(requestTo(receiver.url))).toMatchObject({
      ok: false,
      errorClass: 'connect',
      error: expect.stringContaining('shutting down'),
    });
    for (const outcome of await Promise.all(sends)) expect(outcome).toMatchObject({ ok: true, body: 'late' });
    await closing;
    await until(() => receiver.open.size === 0);
    expect(receiver.seen).toHaveLength(6);
  });

  it('is immediate when only idle sockets are open', async () => {
    const receiver = await startHttp();
    const sender = new WebhookSender({ policy: LOOPBACK });
    await Promise.all(Array.from({ length: 10 }, () => sender.send(requestTo(receiver.url))));
    expect(receiver.open.size).toBe(10);
    await sender.close();
    await sender.close();
    await until(() => receiver.open.size === 0);
  });
});
