// One delivery to hostile or broken receivers. Each attempt ends with an outcome within its deadline; none throws or
// keeps a connection.
import { describe, expect, it } from 'vitest';
import type { SendOutcome } from '../../../src/processors/webhooks/sender.ts';
import {
  closedPort,
  LONG_MS,
  pour,
  type Receiver,
  SLACK_MS,
  send,
  startHttp,
  startSaying,
  startSender,
  startTcp,
  TIMEOUT_MS,
  until,
} from './receivers.ts';

describe('a very long response', () => {
  const endless = (head: string, chunk: string) =>
    startTcp((socket) => {
      socket.once('data', () => {
        socket.write(head);
        pour(socket, chunk);
      });
    });
  const CHUNK = `4000\r\n${'x'.repeat(0x4000)}\r\n`;

  it('is read up to 64 KiB and then cut off; a 2xx still counts as success', async () => {
    const receiver = await endless('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', CHUNK);
    const outcome = await send(receiver);
    expect(outcome).toMatchObject({ ok: true, status: 200, errorClass: null, body: 'x'.repeat(4096) });
    expect(outcome.ms).toBeLessThan(LONG_MS / 2);
    await until(() => receiver.open.size === 0);
  });

  it('that is a refusal stays a refusal', async () => {
    const receiver = await endless('HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n', CHUNK);
    expect(await send(receiver)).toMatchObject({
      ok: false,
      errorClass: 'http_status',
    });
  });

  it('of exactly 64 KiB is complete, and its connection is kept', async () => {
    const receiver = await startHttp((response) => response.end('x'.repeat(64 * 1024)));
    const sender = startSender();
    for (let i = 0; i < 3; i += 1) {
      expect((await sender.send({ url: receiver.url, headers: {}, body: '{}' })).ok).toBe(true);
    }
    expect(receiver.connections).toBe(1);
  });

  it('of 1xx responses is cut off', async () => {
    const receiver = await endless('', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(50));
    const outcome = await send(receiver);
    expect(outcome).toMatchObject({ ok: false, status: null, errorClass: 'protocol' });
    expect(outcome.error).toMatch(/1xx/);
    expect(outcome.ms).toBeLessThan(LONG_MS / 2);
    await until(() => receiver.open.size === 0);
  });

  it('of headers is cut off', async () => {
    const receiver = await endless('HTTP/1.1 200 OK\r\n', `x-filler: ${'x'.repeat(1000)}\r\n`);
    const outcome = await send(receiver);
    expect(outcome).toMatchObject({ ok: false, status: null, errorClass: 'protocol' });
    expect(outcome.error).toMatch(/16 KiB/);
    await until(() => receiver.open.size === 0);
  });
});

describe('the deadline', () => {
  const sendShort = (receiver: Receiver) => send(receiver, { timeoutMs: TIMEOUT_MS });
  const expectTimeout = (outcome: SendOutcome, status: number | null, stage: RegExp) => {
    expect(outcome).toMatchObject({
      ok: false,
      status,
      errorClass: 'timeout',
      error: expect.stringMatching(stage),
    });
    expect(outcome.ms).toBeGreaterThanOrEqual(TIMEOUT_MS - 2);
    expect(outcome.ms).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  };
  const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n';

  it('ends an attempt at a silent receiver and closes its connection', async () => {
    const receiver = await startTcp(() => {});
    expectTimeout(await sendShort(receiver), null, /before the response began/);
    await until(() => receiver.received > 0);
    await until(() => receiver.open.size === 0);
  });

  it('ends an attempt at a receiver that does not read', async () => {
    const receiver = await startTcp((socket) => socket.pause());
    const sender = startSender({ timeoutMs: TIMEOUT_MS });
    const body = Buffer.alloc(32 * 1024 * 1024, 'x');
    expectTimeout(
      await sender.send({ url: receiver.url, headers: {}, body }),
      null,
      /before the response began/,
    );
  });

  it('ends an attempt whose headers arrive slowly', async () => {
    const receiver = await startSaying('HTTP/1.1 200 OK\r\n', { everyMs: 10, text: 'x: y\r\n' });
    expectTimeout(await sendShort(receiver), null, /before the response began/);
  });

  it('ends an attempt whose body arrives slowly, and its 2xx does not count', async () => {
    const receiver = await startSaying(OK, { everyMs: 10, text: '.' });
    const outcome = await sendShort(receiver);
    expectTimeout(outcome, 200, /while the response body/);
    expect(outcome.body).toMatch(/^\.+$/);
  });

  it('ends an attempt whose body stops', async () => {
    expectTimeout(await sendShort(await startSaying(`${OK}abc`)), 200, /while the response body/);
  });

  it('keeps the status of a refusal whose body arrives slowly', async () => {
    const receiver = await startSaying('HTTP/1.1 410 Gone\r\ncontent-length: 9999\r\n\r\n', {
      everyMs: 10,
      text: '.',
    });
    expect(await sendShort(receiver)).toMatchObject({ ok: false, status: 410, errorClass: 'http_status' });
  });

  it('includes the wait for a free connection, for each send by itself', async () => {
    const receiver = await startTcp(() => {});
    const sender = startSender({ timeoutMs: TIMEOUT_MS, maxConnectionsPerOrigin: 1 });
    const request = { url: receiver.url, headers: {}, body: '{}' };
    const outcomes = await Promise.all([1, 2, 3].map(() => sender.send(request)));
    for (const outcome of outcomes) expectTimeout(outcome, null, /time ran out/);
    const [first, ...others] = outcomes.map(({ phases }) => phases.queueMs);
    expect(first).toBeNull();
    for (const queueMs of others) expect(queueMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 50);
  });
});

describe('a receiver that closes the connection', () => {
  it.each<
    [string, (receiver: { reset: () => void; end: () => void; say: (text: string) => void }) => void, string]
  >([
    ['resets', ({ reset }) => reset(), 'reset'],
    ['hangs up', ({ end }) => end(), 'reset'],
    [
      'hangs up inside its headers',
      ({ say, end }) => {
        say('HTTP/1.1 200 OK\r\nx: ');
        end();
      },
      'reset',
    ],
    [
      'ends short of its length',
      ({ say, end }) => {
        say('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc');
        end();
      },
      'reset',
    ],
    [
      'ends short, having said that it would close',
      ({ say, end }) => {
        say('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\nabc');
        end();
      },
      'protocol',
    ],
    [
      'ends inside a chunk',
      ({ say, end }) => {
        say('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nff\r\nabc');
        end();
      },
      'reset',
    ],
    [
      'resets inside its body',
      ({ say, reset }) => {
        say('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc');
        setTimeout(reset, 20);
      },
      'reset',
    ],
    ['speaks something else', ({ say }) => say('SSH-2.0-OpenSSH_9.2\r\n'), 'protocol'],
    [
      'sends a broken chunk',
      ({ say }) => say('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'),
      'protocol',
    ],
    [
      'sends two lengths',
      ({ say }) => say('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'),
      'protocol',
    ],
    [
      'changes protocols',
      ({ say }) => say('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
      'protocol',
    ],
  ])('%s', async (_what, act, errorClass) => {
    const receiver = await startTcp((socket) => {
      socket.once('data', () =>
        act({
          reset: () => socket.resetAndDestroy(),
          end: () => socket.end(),
          say: (text) => socket.write(text),
        }),
      );
    });
    const outcome = await send(receiver);
    expect(outcome).toMatchObject({ ok: false, errorClass, error: expect.stringMatching(/\.$/) });
    expect(outcome.ms).toBeLessThan(LONG_MS / 2);
    expect(receiver.connections).toBe(1);
  });

  it('may do so to end its body', async () => {
    const receiver = await startTcp((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it'));
    });
    expect(await send(receiver)).toMatchObject({ ok: true, body: 'all of it' });
  });

  it('does not listen', async () => {
    const outcome = await send(`http://127.0.0.1:${await closedPort()}/`);
    expect(outcome).toMatchObject({ ok: false, status: null, errorClass: 'connect', address: null });
    expect(outcome.error).toMatch(/ECONNREFUSED/);
  });
});
