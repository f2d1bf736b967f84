// Limits on what one credential or org can cost others: open bodies and streams, the work for a list or a page of the feed,
// reads of streams that catch up, and fetches of issuers' keys.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { declaredBytes, InFlight } from '../../../src/api/access/in-flight.ts';
import type { Principal } from '../../../src/api/access/principal.ts';
import { JwksCache } from '../../../src/api/oauth/jwks.ts';
import { MAX_LOOKED_AT, pageByDeadline } from '../../../src/api/routes/tasks/deadline-order.ts';
import { FeedTails } from '../../../src/api/streams/feed-tails.ts';
import { CheckerBusyError, OutputSchemas } from '../../../src/output-schema/output-schemas.ts';
import { createAddressPolicy } from '../../../src/state/webhooks/callback-url.ts';
import { connect, connectSubscriber, type Db, whenReady } from '../../../src/store/redis/connection.ts';
import { MAX_EXAMINED, page } from '../../../src/store/redis/lists.ts';
import { Changes } from '../../../src/store/redis/pub-sub.ts';
import { createKey, createOrg, createPool, type Org, startApi, type TestApi } from '../../support/api.ts';
import { addTask, freshOrg, openTestDb } from '../../support/db.ts';
import { testTopology } from '../../support/redis.ts';
import { taskBody } from '../../support/workers.ts';

const db = await openTestDb();
const KIB = 1024;
const SOON = { timeout: 15_000 };

/** The store on a connection that counts its commands. */
async function counted(): Promise<{ db: Db; count: () => number; close: () => void }> {
  const redis = connect(testTopology(), 'patient', () => undefined);
  await whenReady(redis);
  let commands = 0;
  const send = redis.sendCommand.bind(redis) as (...args: unknown[]) => unknown;
  redis.sendCommand = (...args: unknown[]) => {
    commands += 1;
    return send(...args);
  };
  return { db: { ...db, redis }, count: () => commands, close: () => redis.disconnect() };
}

describe('resources in progress', () => {
  const caller = (key_id: string) => ({ kind: 'api_key', org_id: 'o', key_id }) as Principal;
  it('are limited by credential (429) and by process (503), and free when released', () => {
    const held = new InFlight({ uploads: { credential: 10, process: 15 } });
    const release = held.hold('uploads', caller('a'), 8);
    const hold = (key: string, amount: number) => () => held.hold('uploads', caller(key), amount);
    expect(hold('a', 3)).toThrow(expect.objectContaining({ status: 429, headers: { 'Retry-After': '2' } }));
    expect(hold('b', 8)).toThrow(expect.objectContaining({ status: 503, headers: { 'Retry-After': '2' } }));
    release();
    release();
    expect(hold('b', 8)).not.toThrow();
  });

  it('count with their declared length, or with the maximum', () => {
    expect(declaredBytes({ 'content-length': '7' }, 10)).toBe(7);
    expect(declaredBytes({ 'content-length': '70' }, 10)).toBe(10);
    expect(declaredBytes({ 'transfer-encoding': 'chunked' }, 10)).toBe(10);
    expect(declaredBytes({}, 10)).toBe(0);
  });
});

describe('over HTTP', () => {
  let api: TestApi;
  let org: Org;
  beforeAll(async () => {
    const inFlight = {
      bodies: { credential: 500 * KIB, process: 900 * KIB },
      streams: { credential: 2, process: 9 },
    };
    api = await startApi({ web: { inFlight } });
    org = await createOrg(api);
  });
  afterAll(() => api.close());

  /** A request whose body never arrives. */
  async function unfinished(key: string | null) {
    const socket = createConnection(Number(new URL(api.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: ${200 * KIB}\r\n\r\n`,
    );
    return socket;
  }

  it('returns 503 with Retry-After when too many schema checks wait', async () => {
    const busy = new CheckerBusyError('Too many output schemas are waiting to be checked. Try again soon.');
    const check = vi.spyOn(OutputSchemas.prototype, 'check').mockRejectedValueOnce(busy);
    const answer = await org.client
      .request('POST', '/v1/tasks', { body: taskBody() })
      .finally(() => check.mockRestore());
    expect([answer.outcome, answer.headers.get('retry-after')]).toEqual(['503 unavailable', '2']);
    expect(answer.problem.detail).toBe(busy.message);
  });

  it('refuses a body over the credential’s limit before it is read, and accepts those of others', async () => {
    const other = await createOrg(api);
    const [one, two] = [org.client.credential, other.client.credential];
    const small = { body: { pad: 'x'.repeat(150 * KIB) } };
    const status = (client: Org['client']) =>
      client.request('POST', '/v1/tasks', small).then((answer) => answer.status);
    // Any one of them may arrive last; it gets a response without its body having been read.
    const firstAnswer = async (sockets: ReturnType<typeof createConnection>[]) =>
      String((await Promise.race(sockets.map((socket) => once(socket, 'data'))))[0]);
    const open = await Promise.all([unfinished(one), unfinished(one), unfinished(one)]);
    expect(await firstAnswer(open)).toMatch(/^HTTP\/1.1 429 [\s\S]*Retry-After: 2/);
    expect(await status(other.client)).toBe(422);
    const third = (await createOrg(api)).client.credential;
    const more = await Promise.all([unfinished(two), unfinished(third), unfinished(third)]);
    expect(await firstAnswer(more)).toMatch(/^HTTP\/1.1 503 [\s\S]*Retry-After: 2/);
    open.push(...more);
    for (const socket of open) socket.destroy();
    await expect.poll(() => status(org.client), SOON).toBe(422);
  });

  it('refuses a stream over the credential’s limit until one ends', async () => {
    const open = async () => {
      const stop = new AbortController();
      const answer = await fetch(`${api.url}/v1/events/stream`, {
        headers: { authorization: `Bearer ${org.client.credential}` },
        signal: stop.signal,
      });
      return { status: answer.status, retry: answer.headers.get('retry-after'), stop: () => stop.abort() };
    };
    const [one, two, three] = [await open(), await open(), await open()];
    expect([one.status, two.status, three.status, three.retry]).toEqual([200, 200, 429, '2']);
    one.stop();
    await expect.poll(async () => (await open()).status, SOON).toBe(200);
  });

  it('reads a page of the feed for an empty pool in a few commands, however many events other pools have', async () => {
    const org = await createOrg(api);
    const pool = await createPool(org.client);
    const confined = await createKey(api, org.client, { scopes: ['events:read'], pools: [pool] });
    const web = { ...db, prefix: api.prefix };
    await Promise.all(Array.from({ length: 400 }, () => addTask(web, org.org_id)));
    const { redis } = api.web.db;
    let commands = 0;
    const send = redis.sendCommand.bind(redis) as (...args: unknown[]) => unknown;
    redis.sendCommand = (...args: unknown[]) => {
      commands += 1;
      return send(...args);
    };
    const found = await confined.request('GET', '/v1/events?limit=1');
    redis.sendCommand = send;
    expect(found.as()).toMatchObject({ data: [], has_more: false });
    expect(commands).toBeLessThan(40);
  });
});

describe('a page of a list', () => {
  it('ends after its maximum of entries with a cursor, and stops when the client disconnects', async () => {
    const watched = await counted();
    const key = `${db.prefix}:list:${freshOrg(db)}`;
    const members = Array.from({ length: MAX_EXAMINED + 500 }, (_, index) => String(index).padStart(8, '0'));
    for (let at = 0; at < members.length; at += 5000)
      await db.redis.zadd(key, ...members.slice(at, at + 5000).flatMap((one) => [0, one]));
    const range = { order: 'asc', after: null, from: null, to: null } as const;
    const none = async (all: string[]) => all.map(() => null);
    const nothing = async () => [];
    const first = await page(watched.db, [key], range, 1, none, nothing);
    expect(first).toEqual({ items: [], next: members[MAX_EXAMINED - 1] });
    // Chunks grow, so that rare matches take few round trips.
    expect(watched.count()).toBe(4);
    expect(await page(watched.db, [key], { ...range, after: first.next }, 1, none, nothing)).toEqual({
      items: [],
      next: null,
    });
    const before = watched.count();
    await page(watched.db, [key], range, 1, none, nothing, AbortSignal.abort());
    expect(watched.count() - before).toBe(1);
    watched.close();
  });
});

describe('a page by deadline', () => {
  it('is refused when its filters leave too many tasks to look at, even if no task meets all of them', async () => {
    const list = (name: string) => `${db.prefix}:list:${freshOrg(db)}:${name}`;
    const [one, other] = [list('one'), list('other')];
    const members = Array.from({ length: MAX_LOOKED_AT + 1 }, (_, index) => String(index).padStart(8, '0'));
    for (let at = 0; at < members.length; at += 5000)
      await db.redis.zadd(one, ...members.slice(at, at + 5000).flatMap((member) => [0, member]));
    const range = { order: 'asc', after: null, from: null, to: null } as const;
    const look = () => pageByDeadline(db, freshOrg(db), [[one], [other]], range, 10, () => true);
    await expect(look()).rejects.toMatchObject({ status: 400 });
    await db.redis.zrem(one, members[0] ?? '');
    expect(await look()).toEqual({ items: [], next: null });
  });
});

describe('streams that catch up with the feed', () => {
  it('share one read', async () => {
    const watched = await counted();
    const subscriber = connectSubscriber(testTopology(), 'patient', () => undefined);
    const org = freshOrg(db);
    await Promise.all(Array.from({ length: 150 }, () => addTask(db, org)));
    const tails = new FeedTails(watched.db, new Changes(subscriber, db.prefix));
    const costs: number[] = [];
    for (const followers of [1, 30]) {
      const before = watched.count();
      const received = Array.from({ length: followers }, () => 0);
      const leave = await Promise.all(
        received.map((_, index) =>
          tails.follow(org, {
            position: '0-0/0',
            receive(events) {
              received[index] = (received[index] ?? 0) + events.length;
            },
            ready: async () => undefined,
            isClosed: false,
          }),
        ),
      );
      await expect.poll(() => received.every((count) => count === 300), SOON).toBe(true);
      costs.push(watched.count() - before);
      for (const stop of leave) stop();
    }
    const [alone = 0, many = 0] = costs;
    expect(many).toBeLessThanOrEqual(alone + 30);
    subscriber.disconnect();
    watched.close();
  });
});

describe('keys of issuers', () => {
  it('are fetched for one org up to its limit, without delaying another', async () => {
    const asked: string[] = [];
    const silent = createServer((request) => void asked.push(request.url ?? ''));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const at = (path: string) => `http://127.0.0.1:${(silent.address() as AddressInfo).port}/${path}`;
    const cache = new JwksCache(createAddressPolicy(['127.0.0.1/32']));
    const all = Array.from({ length: 10 }, (_, index) => cache.keysOf(at(`a${index}`), false, 'a'));
    all.push(cache.keysOf(at('b'), false, 'b'));
    // Requests that start no fetch are answered at once, while the others still wait.
    expect(await all[9]).toBeNull();
    await expect.poll(() => [...asked].sort(), SOON).toEqual(['/a0', '/a1', '/a2', '/a3', '/b']);
    silent.closeAllConnections();
    silent.close();
    expect(await Promise.all(all)).toEqual(all.map(() => null));
  });
});
