// One delivery to well-behaved receivers: what they receive, and what is recorded of their response.
import { randomBytes } from 'node:crypto';
import { connect, type TcpNetConnectOpts } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { send, startHttp, startSaying, startSender, TIMEOUT_MS, until, watchedDialler } from './receivers.ts';

describe('a receiver that answers', () => {
  it('gets the exact bytes with the documented headers', async () => {
    const receiver = await startHttp();
    const body = Buffer.from('{"name":"Zoë 🦊"}');
    const outcome = await startSender({ userAgent: 'Test/1' }).send({
      url: `http://127.0.0.1:${receiver.port}/a%20b?x=1&y=%2F#part`,
      headers: {
        'Webhook-Id': 'evt_1',
        Authorization: 'Bearer t',
        host: 'evil.example',
        'Accept-Encoding': 'br',
      },
      body,
    });

    expect(outcome).toMatchObject({ ok: true, status: 200, errorClass: null, error: null, body: 'ok' });
    const [seen] = receiver.seen;
    expect(seen?.body).toEqual(body);
    expect(seen?.request).toMatchObject({ method: 'POST', url: '/a%20b?x=1&y=%2F' });
    expect(seen?.request.headers).toMatchObject({
      host: `127.0.0.1:${receiver.port}`,
      'webhook-id': 'evt_1',
      authorization: 'Bearer t',
      'content-type': 'application/json',
      'content-length': String(body.length),
      'user-agent': 'Test/1',
      'accept-encoding': 'identity',
    });
  });

  it('is recorded with address, headers and times', async () => {
    const receiver = await startHttp((response) => {
      response.writeHead(201, { 'X-Trace': 'abc', 'Set-Cookie': ['a=1', 'b=2'] });
      response.write('a');
      setTimeout(() => response.end('b'), 60);
    });
    const outcome = await send(receiver);
    expect(outcome).toMatchObject({
      ok: true,
      status: 201,
      body: 'ab',
      address: '127.0.0.1',
      retryAfterMs: null,
    });
    expect(outcome.responseHeaders).toMatchObject({ 'x-trace': 'abc', 'set-cookie': 'a=1,b=2' });
    const { connectMs, firstByteMs, bodyMs, ...others } = outcome.phases;
    expect(others).toEqual({ queueMs: null, dnsMs: null, tlsMs: null, reused: false });
    expect(bodyMs).toBeGreaterThan(5);
    expect((connectMs ?? Number.NaN) + (firstByteMs ?? Number.NaN) + (bodyMs ?? 0)).toBeLessThanOrEqual(
      outcome.ms + 1,
    );
  });

  it.each([200, 202, 204, 299])('succeeds with %d', async (status) => {
    const receiver = await startHttp((response) => response.writeHead(status).end());
    expect(await send(receiver)).toMatchObject({ ok: true, status, body: '', errorClass: null });
  });

  it.each([400, 404, 410, 429, 500, 503, 599])('fails with %d', async (status) => {
    const receiver = await startHttp((response) => response.writeHead(status).end('why'));
    expect(await send(receiver)).toMatchObject({ ok: false, status, body: 'why', errorClass: 'http_status' });
  });

  it.each([301, 302, 303, 307, 308])('is not followed when it redirects with %d', async (status) => {
    const elsewhere = await startHttp();
    const receiver = await startHttp((response) =>
      response.writeHead(status, { location: elsewhere.url }).end(),
    );
    expect(await send(receiver)).toMatchObject({ ok: false, status, errorClass: 'redirect' });
    expect(receiver.seen).toHaveLength(1);
    expect(elsewhere.connections).toBe(0);
  });

  it('sets the earliest next attempt with Retry-After', async () => {
    const receiver = await startHttp((response) => response.writeHead(500, { 'retry-after': '7' }).end());
    expect(await send(receiver)).toMatchObject({ ok: false, retryAfterMs: 7000 });
    const content = await startHttp((response) => response.writeHead(200, { 'retry-after': '7' }).end());
    expect(await send(content)).toMatchObject({ ok: true, retryAfterMs: null });
  });

  it('may send informational responses first', async () => {
    const receiver = await startSaying(
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    );
    expect(await send(receiver)).toMatchObject({ ok: true, status: 200, body: 'ok' });
  });
});

describe('a sender that was frozen past its deadline', () => {
  const freeze = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  /** No timer fires between opening the socket and writing to it: only the clock shows the delay. */
  const freezing = (ms: number) => (options: TcpNetConnectOpts) =>
    connect(options).once('connect', () => freeze(ms));

  it.each([
    ['its own patience', TIMEOUT_MS, () => Number.POSITIVE_INFINITY],
    ['what it was given', 20_000, () => performance.now() + TIMEOUT_MS],
  ])('by %s: sends nothing on the open socket', async (_, timeoutMs, end) => {
    const receiver = await startHttp();
    const sender = startSender({ timeoutMs, connectTcp: freezing(2 * TIMEOUT_MS) });
    const outcome = await sender.send({ url: receiver.url, headers: {}, body: '{}', until: end() });
    expect(outcome).toMatchObject({ ok: false, isSent: false, errorClass: 'timeout' });
    await until(() => receiver.connections === 1 && receiver.open.size === 0);
    expect(receiver.received).toBe(0);
  });

  it('sends if there is time left', async () => {
    const receiver = await startHttp();
    const outcome = await send(receiver, { connectTcp: freezing(TIMEOUT_MS) });
    expect(outcome).toMatchObject({ ok: true, isSent: true });
  });
});

describe('the recorded response', () => {
  const bodyOf = async (body: Buffer | string) => {
    const receiver = await startHttp((response) => response.end(body));
    const outcome = await send(receiver);
    expect(outcome.ok).toBe(true);
    return outcome.body;
  };

  it('is the first 4 KiB', async () => {
    expect(await bodyOf('x'.repeat(4096))).toBe('x'.repeat(4096));
    expect(await bodyOf(`${'x'.repeat(4096)}y`)).toBe('x'.repeat(4096));
  });

  it('is cut at a whole character', async () => {
    expect(await bodyOf(`x${'ä'.repeat(4000)}`)).toBe(`x${'ä'.repeat(2047)}`);
    expect(await bodyOf(`x${'🦊'.repeat(2000)}`)).toBe(`x${'🦊'.repeat(1023)}`);
    expect(await bodyOf(`xx${'🦊'.repeat(2000)}`)).toBe(`xx${'🦊'.repeat(1023)}`);
  });

  it('is text of at most 4 KiB, whatever the bytes', async () => {
    for (const bytes of [Buffer.alloc(4096, 0xff), randomBytes(9000), randomBytes(4096)]) {
      const text = await bodyOf(bytes);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
      expect(Buffer.byteLength(text)).toBeGreaterThan(4000);
    }
    expect(await bodyOf(Buffer.from([0x61, 0xff, 0x62]))).toBe('a\u{fffd}b');
  });

  it('is never decompressed', async () => {
    const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(64 * 1024);
    const receiver = await startHttp((response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    const outcome = await send(receiver);
    expect(outcome).toMatchObject({ ok: true, status: 200 });
    expect(outcome.body.startsWith('\u{1f}\u{fffd}\b')).toBe(true);
  });
});

describe('a request that cannot be sent', () => {
  it('is recorded as an outcome', async () => {
    expect(await send('not a url')).toMatchObject({ ok: false, errorClass: 'bad_url', status: null });
    const { connectTcp } = watchedDialler();
    expect(await send('https://10.0.0.1/', { connectTcp })).toMatchObject({
      ok: false,
      errorClass: 'address_refused',
    });
    const receiver = await startHttp();
    const sender = startSender();
    const outcome = await sender.send({
      url: receiver.url,
      headers: { authorization: 'Bearer a\r\nb' },
      body: '{}',
    });
    expect(outcome).toMatchObject({
      ok: false,
      errorClass: 'protocol',
      error: expect.stringMatching(/authorization/),
    });
    expect(outcome.error).not.toMatch(/Bearer/);
    expect(receiver.seen).toHaveLength(0);
  });
});
