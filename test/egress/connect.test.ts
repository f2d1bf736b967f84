// Connections of deliveries, from the look-up to the first byte. Fake resolvers return internal addresses, and the tests
// check that no connection to them is attempted.
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createAddressPolicy, type Resolver } from '../../src/egress/address-guard.ts';
import type { SenderOptions } from '../../src/processors/webhooks/sender.ts';
import {
  createIdentity,
  SLACK_MS,
  send,
  startHttp,
  startSender,
  startTcp,
  startTls,
  TIMEOUT_MS,
  until,
  watchedDialler,
} from '../processors/webhooks/receivers.ts';

const HOST = 'hooks.example.com';

/** A resolver that returns these answers in turn, and then the last one again. */
function answering(...answers: string[][]): { resolver: Resolver; names: string[] } {
  const names: string[] = [];
  const resolver: Resolver = async (host) => {
    names.push(host);
    return answers[Math.min(names.length, answers.length) - 1] ?? [];
  };
  return { resolver, names };
}

describe('a name with an internal address', () => {
  it.each<[string, string[]]>([
    ['a private address', ['10.0.0.1']],
    ['the metadata service', ['169.254.169.254']],
    ['public and private addresses', ['8.8.8.8', '10.0.0.1']],
    ['private and public addresses', ['192.168.1.1', '8.8.8.8']],
    ['a listed and a private address', ['127.0.0.1', '10.0.0.1']],
    ['an address inside an IPv6 one', ['64:ff9b::7f00:1']],
    ['something that is not an address', ['not an address']],
  ])('(%s) is refused without a connection', async (_what, addresses) => {
    const receiver = await startHttp();
    for (const scheme of ['https', 'http']) {
      const { asked, connectTcp } = watchedDialler();
      const { resolver } = answering(addresses);
      const outcome = await send(`${scheme}://${HOST}:${receiver.port}/`, { resolver, connectTcp });
      expect(outcome).toMatchObject({
        ok: false,
        errorClass: 'address_refused',
        address: null,
        status: null,
      });
      for (const address of addresses) expect(outcome.error).not.toContain(address);
      expect(asked).toEqual([]);
    }
    expect(receiver.connections).toBe(0);
  });

  it('is refused without a look-up when it is an IP literal', async () => {
    const { asked, connectTcp } = watchedDialler();
    const { resolver, names } = answering(['127.0.0.1']);
    const policy = createAddressPolicy(['127.0.0.9']);
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '169.254.169.254']) {
      const outcome = await send(`http://${host}/`, { policy, resolver, connectTcp });
      expect(outcome).toMatchObject({ ok: false, errorClass: 'address_refused' });
    }
    expect([asked, names]).toEqual([[], []]);
  });

  it('is refused over http when the address is public but not listed', async () => {
    const { asked, connectTcp } = watchedDialler();
    const { resolver } = answering(['8.8.8.8']);
    const outcome = await send(`http://${HOST}/`, { resolver, connectTcp });
    expect(outcome).toMatchObject({ ok: false, errorClass: 'address_refused' });
    expect(asked).toEqual([]);
  });
});

describe('the look-up', () => {
  it('is made once for a connection, which uses its result', async () => {
    const receiver = await startHttp();
    const { asked, connectTcp } = watchedDialler();
    const { resolver, names } = answering(['127.0.0.1'], ['10.0.0.1']);
    const outcome = await send(`http://${HOST}:${receiver.port}/`, { resolver, connectTcp, dnsCacheMs: 0 });
    expect(outcome).toMatchObject({ ok: true, address: '127.0.0.1' });
    expect(outcome.phases.dnsMs).not.toBeNull();
    expect(names).toEqual([HOST]);
    const [{ lookup } = {}] = asked;
    lookup?.(HOST, { all: true }, (error, addresses) => {
      expect([error, addresses]).toEqual([null, [{ address: '127.0.0.1', family: 4 }]]);
    });
    expect.assertions(4);
  });

  it('is shared by concurrent requests, and cached', async () => {
    const receiver = await startHttp((response) => response.writeHead(200, { connection: 'close' }).end());
    const { resolver, names } = answering(['127.0.0.1']);
    const sender = startSender({ resolver, dnsCacheMs: 60_000 });
    const request = { url: `http://${HOST}:${receiver.port}/`, headers: {}, body: '{}' };
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => sender.send(request)));
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect((await sender.send(request)).ok).toBe(true);
    expect(receiver.connections).toBe(51);
    expect(names).toHaveLength(1);
  });

  it('can fail or exceed the time limit', async () => {
    const failing: Resolver = () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }));
    expect(await send(`https://${HOST}/`, { resolver: failing })).toMatchObject({
      ok: false,
      errorClass: 'dns',
    });
    const throwing: Resolver = () => {
      throw new Error('no answer');
    };
    expect(await send(`https://${HOST}/`, { resolver: throwing })).toMatchObject({ errorClass: 'dns' });
    const outcome = await send(`https://${HOST}/`, {
      resolver: () => new Promise(() => {}),
      timeoutMs: TIMEOUT_MS,
    });
    expect(outcome).toMatchObject({
      errorClass: 'timeout',
      error: expect.stringContaining('being resolved'),
    });
    expect(outcome.ms).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  });
});

describe('the peer', () => {
  it.each(['http', 'https'])('is checked before a byte is written (%s)', async (scheme) => {
    const receiver = await startTcp(() => {});
    // Simulates a connection that ends at an address that is not allowed.
    const connectTcp = () => connect(receiver.port, '127.0.0.1');
    const policy = createAddressPolicy(['127.0.0.9']);
    const { resolver } = answering(['127.0.0.9']);
    const outcome = await send(`${scheme}://${HOST}:${receiver.port}/`, { policy, resolver, connectTcp });
    expect(outcome).toMatchObject({ ok: false, errorClass: 'address_refused', address: null });
    expect(receiver.connections).toBe(1);
    await until(() => receiver.open.size === 0);
    expect(receiver.received).toBe(0);
  });
});

describe('TLS', () => {
  const identity = createIdentity(HOST);
  const { resolver } = answering(['127.0.0.1']);
  const options: Partial<SenderOptions> = { resolver, ca: identity.cert };

  it('uses the name for SNI and the checked address for the connection', async () => {
    const receiver = await startTls(identity);
    const outcome = await send(`https://${HOST}:${receiver.port}/hook`, options);
    expect(outcome).toMatchObject({ ok: true, status: 200, body: 'ok', address: '127.0.0.1' });
    expect(outcome.phases.tlsMs).toBeGreaterThan(0);
    expect(receiver.names).toEqual([HOST]);
  });

  it('reuses a connection, and resumes the TLS session on the next one', async () => {
    const receiver = await startTls(identity);
    const sender = startSender({ ...options, connectionMaxAgeMs: 1000 });
    const request = { url: `https://${HOST}:${receiver.port}/`, headers: {}, body: '{}' };
    expect((await sender.send(request)).phases.reused).toBe(false);
    expect((await sender.send(request)).phases.reused).toBe(true);
    await expect.poll(async () => (await sender.send(request)).phases.reused, { timeout: 5000 }).toBe(false);
    expect([receiver.connections, receiver.resumed]).toEqual([2, 1]);
  });

  it('fails for a certificate that is not trusted', async () => {
    const receiver = await startTls(identity);
    const outcome = await send(`https://${HOST}:${receiver.port}/`, { resolver });
    expect(outcome).toMatchObject({ ok: false, errorClass: 'tls', status: null });
    expect(outcome.error).toMatch(/SELF_SIGNED/);
    await until(() => receiver.open.size === 0);
  });

  it('fails for a certificate of another name, and for an IP address that the certificate does not contain', async () => {
    const receiver = await startTls(identity);
    for (const host of ['other.example.com', '127.0.0.1']) {
      const outcome = await send(`https://${host}:${receiver.port}/`, options);
      expect(outcome).toMatchObject({ ok: false, errorClass: 'tls' });
      expect(outcome.error).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
    }
  });

  it('fails when the receiver does not use TLS, and when it does not respond', async () => {
    const plain = await startHttp();
    expect(await send(`https://${HOST}:${plain.port}/`, options)).toMatchObject({
      ok: false,
      errorClass: 'tls',
    });
    const hangsUp = await startTcp((socket) => socket.once('data', () => socket.destroy()));
    expect(await send(`https://${HOST}:${hangsUp.port}/`, options)).toMatchObject({
      ok: false,
      errorClass: 'tls',
    });
    const silent = await startTcp(() => {});
    const outcome = await send(`https://${HOST}:${silent.port}/`, { ...options, timeoutMs: TIMEOUT_MS });
    expect(outcome).toMatchObject({ errorClass: 'timeout', error: expect.stringContaining('TLS') });
    expect(outcome.ms).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  });
});
