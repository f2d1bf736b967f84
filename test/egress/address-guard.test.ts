// Decisions of the address guard, with fake resolvers and a name server on loopback. No connection is opened.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import {
  addressClass,
  cacheAnswers,
  createAddressPolicy,
  type Resolver,
  resolveTarget,
  systemResolver,
} from '../../src/egress/address-guard.ts';
import { REFUSED_ADDRESSES } from '../support/address-corpus.ts';

const PUBLIC = createAddressPolicy([]);
const LOOPBACK = createAddressPolicy(['127.0.0.0/8', '::1']);
/** A signal that never aborts. */
const never = () => new AbortController().signal;

function answering(...answers: string[][]): Resolver & { calls: number } {
  const resolver = async () => {
    const answer = answers[Math.min(resolver.calls, answers.length - 1)] ?? [];
    resolver.calls += 1;
    return answer;
  };
  resolver.calls = 0;
  return resolver;
}

describe('resolveTarget', () => {
  const resolve = (resolver: Resolver, policy = PUBLIC, requiresAllowlist = false) =>
    resolveTarget('hooks.example', policy, resolver, never(), { requiresAllowlist });

  it('returns every checked address once', async () => {
    const resolver = answering(['8.8.8.8', '2606:4700::1111', '8.8.8.8']);
    expect(await resolve(resolver)).toEqual({ ok: true, addresses: ['8.8.8.8', '2606:4700::1111'] });
    expect(resolver.calls).toBe(1);
  });

  it.each(REFUSED_ADDRESSES)('refuses a name with %s among public addresses, in any position', async (ip) => {
    for (const answer of [[ip], [ip, '8.8.8.8'], ['8.8.8.8', ip], ['8.8.8.8', ip, '1.1.1.1']]) {
      expect(await resolve(answering(answer))).toMatchObject({ ok: false, errorClass: 'address_refused' });
    }
  });

  it('checks the addresses of each look-up', async () => {
    const resolver = answering(['8.8.8.8'], ['169.254.169.254'], ['8.8.8.8']);
    expect([
      (await resolve(resolver)).ok,
      (await resolve(resolver)).ok,
      (await resolve(resolver)).ok,
    ]).toEqual([true, false, true]);
  });

  it('requires listed addresses with requiresAllowlist', async () => {
    expect(await resolve(answering(['127.0.0.1']), LOOPBACK, true)).toMatchObject({ ok: true });
    expect(await resolve(answering(['127.0.0.1', '8.8.8.8']), LOOPBACK, true)).toMatchObject({
      ok: false,
      errorClass: 'address_refused',
    });
    expect(await resolve(answering(['127.0.0.1', '8.8.8.8']), LOOPBACK)).toMatchObject({ ok: true });
  });

  it('does not name a refused address', async () => {
    const refused = await resolve(answering(['10.20.30.40']));
    expect(JSON.stringify(refused)).not.toContain('10.20.30.40');
  });

  it('does not resolve an IP literal', async () => {
    const resolver = answering(['8.8.8.8']);
    expect(await resolveTarget('10.0.0.1', PUBLIC, resolver, never())).toMatchObject({ ok: false });
    expect(await resolveTarget('8.8.4.4', PUBLIC, resolver, never())).toEqual({
      ok: true,
      addresses: ['8.8.4.4'],
    });
    expect(resolver.calls).toBe(0);
  });

  it('reports a name without an address, and one that does not resolve', async () => {
    expect(await resolve(answering([]))).toMatchObject({ ok: false, errorClass: 'dns' });
    const failing: Resolver = () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }));
    expect(await resolve(failing)).toMatchObject({
      errorClass: 'dns',
      reason: expect.stringContaining('ENOTFOUND'),
    });
  });

  it('ends with its signal even if the resolver ignores it', async () => {
    const deaf: Resolver = () => new Promise(() => {});
    await expect(
      resolveTarget('hooks.example', PUBLIC, deaf, AbortSignal.abort(new Error('too late'))),
    ).rejects.toThrow('too late');
    await expect(resolveTarget('hooks.example', PUBLIC, deaf, AbortSignal.timeout(20))).rejects.toThrow();
  });
});

describe('cacheAnswers', () => {
  it('shares one look-up between callers, and repeats it when the cache entry expires', async () => {
    const resolver = answering(['8.8.8.8'], ['1.1.1.1']);
    const cached = cacheAnswers(resolver, { ttlMs: 30, timeoutMs: 1000 });
    const answers = await Promise.all(Array.from({ length: 50 }, () => cached('a.example', never())));
    expect(new Set(answers.flat())).toEqual(new Set(['8.8.8.8']));
    expect(resolver.calls).toBe(1);
    await expect.poll(() => cached('a.example', never())).toEqual(['1.1.1.1']);
    expect(resolver.calls).toBe(2);
  });

  it('does not cache a failure', async () => {
    let calls = 0;
    const flaky: Resolver = async () => {
      calls += 1;
      if (calls === 1) throw new Error('no answer');
      return ['8.8.8.8'];
    };
    const cached = cacheAnswers(flaky, { ttlMs: 60_000, timeoutMs: 1000 });
    await expect(cached('a.example', never())).rejects.toThrow('no answer');
    expect(await cached('a.example', never())).toEqual(['8.8.8.8']);
  });

  it('continues a shared look-up when one caller aborts', async () => {
    let answer: (addresses: string[]) => void = () => {};
    const slow: Resolver = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const cached = cacheAnswers(slow, { ttlMs: 1000, timeoutMs: 1000 });
    const impatient = new AbortController();
    const first = cached('a.example', impatient.signal);
    const second = cached('a.example', never());
    impatient.abort(new Error('gave up'));
    await expect(first).rejects.toThrow('gave up');
    answer(['8.8.8.8']);
    expect(await second).toEqual(['8.8.8.8']);
  });

  it('repeats a look-up that exceeded its time limit', async () => {
    let calls = 0;
    const cached = cacheAnswers(
      () => {
        calls += 1;
        return calls === 1 ? new Promise<string[]>(() => {}) : Promise.resolve(['8.8.8.8']);
      },
      { ttlMs: 1000, timeoutMs: 20 },
    );
    await expect(cached('a.example', never())).rejects.toThrow();
    expect(await cached('a.example', never())).toEqual(['8.8.8.8']);
  });

  it('caches a limited number of names', async () => {
    const resolver = answering(['8.8.8.8']);
    const cached = cacheAnswers(resolver, { ttlMs: 60_000, timeoutMs: 1000, size: 2 });
    for (const name of ['a', 'b', 'c', 'c', 'b', 'a']) await cached(name, never());
    expect(resolver.calls).toBe(4);
  });
});

/** A name server on loopback: A (1), AAAA (28) and CNAME (5) from a table, NXDOMAIN for the rest. */
async function startNameServer(zone: Record<string, { type: number; data: Buffer; name?: string }[]>) {
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, 12) + 5;
    const labels: string[] = [];
    for (let at = 12; query[at] !== 0; at += (query[at] ?? 0) + 1) {
      labels.push(query.toString('latin1', at + 1, at + 1 + (query[at] ?? 0)));
    }
    const wanted = query.readUInt16BE(end - 4);
    const known = zone[labels.join('.').toLowerCase()];
    const records = (known ?? []).filter(({ type }) => type === wanted || type === 5);
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(records.length, 6);
    header.fill(0, 8);
    const answers = records.flatMap(({ type, data, name }) => {
      const fixed = Buffer.alloc(10);
      fixed.writeUInt16BE(type, 0);
      fixed.writeUInt16BE(1, 2);
      fixed.writeUInt16BE(data.length, 8);
      return [name === undefined ? Buffer.from([0xc0, 12]) : encodeName(name), fixed, data];
    });
    socket.send(Buffer.concat([header, query.subarray(12, end), ...answers]), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { address: `127.0.0.1:${socket.address().port}`, close: () => socket.close() };
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  return Buffer.concat([...labels, Buffer.from([0])]);
}

describe('systemResolver', () => {
  let stop: () => void = () => {};
  afterEach(() => {
    stop();
    stop = () => {};
  });

  const ipv4 = (ip: string) => ({ type: 1, data: Buffer.from(ip.split('.').map(Number)) });

  it('queries DNS for both families, follows aliases, and refuses an alias of an internal address', async () => {
    const inside = { ...ipv4('10.0.0.5'), name: 'db.inside.example' };
    const server = await startNameServer({
      'both.example': [
        ipv4('8.8.8.8'),
        { type: 28, data: Buffer.from('26064700000000000000000000001111', 'hex') },
      ],
      'alias.example': [{ type: 5, data: encodeName('db.inside.example') }, inside],
      'empty.example': [],
    });
    stop = server.close;
    const resolver = systemResolver(PUBLIC, { servers: [server.address] });

    expect([...(await resolver('both.example', never()))].sort()).toEqual(['2606:4700::1111', '8.8.8.8']);
    expect(await resolver('alias.example', never())).toEqual(['10.0.0.5']);
    expect(await resolveTarget('alias.example', PUBLIC, resolver, never())).toMatchObject({
      errorClass: 'address_refused',
    });
    await expect(resolver('empty.example', never())).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(resolver('unknown.example', never())).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  it('ends a query to a silent name server when its signal aborts', async () => {
    const silent = createSocket('udp4');
    silent.bind(0, '127.0.0.1');
    await once(silent, 'listening');
    stop = () => silent.close();
    const resolver = systemResolver(PUBLIC, {
      servers: [`127.0.0.1:${silent.address().port}`],
      timeoutMs: 10_000,
    });
    const startedAt = performance.now();
    await expect(resolver('slow.example', AbortSignal.timeout(50))).rejects.toThrow();
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });

  it('resolves single-label names with the system, and unknown ones too if networks are listed', async () => {
    const server = await startNameServer({});
    stop = server.close;
    const asked: string[] = [];
    const options = {
      servers: [server.address],
      system: async (host: string) => {
        asked.push(host);
        return ['127.0.0.1'];
      },
    };
    for (const host of ['receiver', 'localhost', 'api.localhost', 'db.corp.example']) {
      expect(await systemResolver(LOOPBACK, options)(host, never())).toEqual(['127.0.0.1']);
    }
    expect(asked).toEqual(['receiver', 'localhost', 'api.localhost', 'db.corp.example']);
    await expect(systemResolver(PUBLIC, options)('db.corp.example', never())).rejects.toMatchObject({
      code: 'ENOTFOUND',
    });
  });

  it('resolves localhost to a loopback address', async () => {
    const addresses = await systemResolver(PUBLIC)('localhost', never());
    expect(addresses.length).toBeGreaterThan(0);
    expect(addresses.every((ip) => addressClass(ip, LOOPBACK) === 'listed')).toBe(true);
  });
});
