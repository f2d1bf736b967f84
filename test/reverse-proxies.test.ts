// The examples of reverse proxies in deploy/, run by nginx and Caddy in front of two web processes: what docs/operations.md
// promises behind a proxy. Tests of a program that is not installed are skipped.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BioLayer } from '@biolayer/sdk';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BODY_LIMIT } from '../src/api/middleware/json-body.ts';
import { MAX_EVIDENCE_BYTES } from '../src/state/tasks/evidence.ts';
import { freePort, type OwnRedis, startOwnRedis } from './support/own-redis.ts';
import { type RunningProcess, startProcess } from './support/processes.ts';
import {
  HOST,
  missing,
  outcome,
  PROXIES,
  type ReverseProxy,
  refused,
  sendPlain,
  startReverseProxy,
} from './support/reverse-proxies.ts';
import { taskBody } from './support/workers.ts';

const OPERATOR_TOKEN = 'operator-token-of-the-tests';
const MIB = 1024 * 1024;
/** Requests without a valid credential that an address may send at once. */
const PER_ADDRESS = 100;
/** Addresses of clients. Only that of the proxies, 127.0.0.1, is trusted. */
const [HOME, ELSEWHERE] = ['127.0.0.2', '127.0.0.3'];

let redis: OwnRedis;
let ports: [number, number];
const webs: RunningProcess[] = [];
let startWeb: (nth: number) => Promise<void>;
/** What is undone after all tests, the last first. */
const ends: (() => unknown)[] = [];
const atEnd = (end: () => unknown) => void ends.unshift(end);
afterAll(async () => {
  for (const end of ends) await end();
});

beforeAll(async () => {
  if (PROXIES.every((name) => missing(name) !== null)) return;
  redis = await startOwnRedis();
  const evidence = await mkdtemp(join(tmpdir(), 'biolayer-evidence-'));
  atEnd(() => redis.stop());
  atEnd(() => rm(evidence, { recursive: true }));
  ports = [await freePort(), await freePort()];
  const env = {
    REDIS_URL: redis.url,
    SECRETS_KEY: Buffer.alloc(32, 7).toString('base64'),
    OPERATOR_TOKEN,
    EVIDENCE_STORE: evidence,
    TRUSTED_PROXIES: '127.0.0.1/32',
    PUBLIC_URL: `https://${HOST}`,
    RATE_LIMIT_ADDRESS: `${PER_ADDRESS}/600`,
    MAX_STREAMS_PER_CREDENTIAL: '1',
    LOG_LEVEL: 'error',
  };
  startWeb = async (nth) => {
    const PORT = String(ports[nth]);
    webs[nth] = startProcess(process.execPath, ['dist/src/web.js'], { ...env, PORT }, atEnd);
    await webs[nth].ready;
  };
  const worker = startProcess(process.execPath, ['dist/src/worker.js'], env, atEnd);
  await Promise.all([startWeb(0), startWeb(1), worker.ready]);
});

/** The URL of a web process, past the proxy. */
const direct = (nth = 0) => `http://127.0.0.1:${ports[nth]}`;

async function createOrg(): Promise<{ key: string; api: BioLayer }> {
  const operator = new BioLayer({ apiKey: OPERATOR_TOKEN, baseUrl: direct() });
  const { api_key: key } = await operator.admin.createOrg({ name: 'Proxied' });
  return { key, api: new BioLayer({ apiKey: key, baseUrl: direct() }) };
}

const post = (proxy: ReverseProxy, credential: string, body: unknown, path = '/v1/tasks') =>
  proxy.send(path, {
    method: 'POST',
    credential,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

/** A body of exactly so many bytes: JSON with spaces at its end. */
const padded = (body: unknown, bytes: number) => JSON.stringify(body).padEnd(bytes, ' ');

describe.each(PROXIES)('%s', (name) => {
  const reason = missing(name);
  if (reason !== null) {
    test('passes requests on', ({ skip }) => skip(reason));
    return;
  }
  let proxy: ReverseProxy;
  beforeAll(async () => {
    proxy = await startReverseProxy(name, ports);
    atEnd(() => proxy.stop());
  });

  test('passes a create and a get on, and sends clients without TLS to https', async () => {
    const { key } = await createOrg();
    const made = await post(proxy, key, taskBody());
    expect(made.status).toBe(201);
    expect(made.headers.location).toMatch(/^\/v1\/tasks\//);
    const got = await proxy.send(made.headers.location ?? '', {
      credential: key,
      headers: { 'Request-Id': 'ours' },
    });
    expect([got.status, got.headers['request-id']]).toEqual([200, 'ours']);
    expect(got.text).toBe(made.text);
    expect(made.headers['request-id']).toMatch(/^\S{16,}$/);
    const moved = await sendPlain(proxy, '/v1/tasks?limit=1');
    expect([301, 308]).toContain(moved.status);
    expect(moved.headers.location).toMatch(/^https:\/\/api\.example\.com(:\d+)?\/v1\/tasks\?limit=1$/);
  });

  test('keeps what is for the operator to itself', async () => {
    for (const path of ['/metrics', '/admin', '/admin/orgs', '/admin/queues/', '//metrics', '/x/../metrics'])
      expect((await proxy.send(path, { credential: OPERATOR_TOKEN })).status).toBe(404);
    expect((await proxy.send('/readyz')).status).toBe(200);
  });

  test("tells the client's address, and not what the client says", async () => {
    const { key, api } = await createOrg();
    const { org_id } = await api.org.get();
    const operator = new BioLayer({ apiKey: OPERATOR_TOKEN, baseUrl: direct() });
    await operator.admin.updateOrg(org_id, { ip_allowlist: [`${HOME}/32`] });
    const asked = (from: string, headers = {}) => proxy.send('/v1/tasks', { credential: key, from, headers });
    await expect.poll(async () => outcome(await asked(ELSEWHERE ?? ''))).toBe('403 ip_not_allowed');
    expect(outcome(await asked(HOME ?? ''))).toBe('200');
    for (const said of [HOME ?? '', `${HOME}, 127.0.0.1`])
      expect(outcome(await asked(ELSEWHERE ?? '', { 'X-Forwarded-For': said }))).toBe('403 ip_not_allowed');
  });

  test('lets the requests of each address be counted alone', async () => {
    const from = name === 'nginx' ? '127.0.1.1' : '127.0.2.1';
    const asked = async (address: string) =>
      outcome(await proxy.send('/v1/tasks', { credential: 'x', from: address }));
    // Each web process counts for itself.
    const outcomes = new Set<string>();
    for (let nth = 0; nth < 4 * PER_ADDRESS && outcomes.size < 2; nth += 1) outcomes.add(await asked(from));
    expect([...outcomes]).toEqual(['401 invalid_credential', '429 rate_limited']);
    expect(await asked(`${from}1`)).toBe('401 invalid_credential');
  });

  test('passes events on as they happen, and ends the stream when its client hangs up', async () => {
    const { key, api } = await createOrg();
    const request = proxy.open('/v1/events/stream', { credential: key });
    request.on('error', () => undefined);
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    let text = '';
    response.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    response.on('error', () => undefined);
    await expect.poll(() => text).toMatch(/^id: /m);
    const { task_id } = await api.tasks.create(taskBody() as Parameters<typeof api.tasks.create>[0]);
    await expect.poll(() => text).toContain(task_id);
    // A credential may have one stream in each process.
    const streams = (nth: number) =>
      fetch(`${direct(nth)}/v1/events/stream?max_seconds=1`, { headers: { Authorization: `Bearer ${key}` } });
    const statuses = async () => {
      const answers = await Promise.all([streams(0), streams(1)]);
      for (const one of answers) await one.text();
      return answers.map((one) => one.status).sort();
    };
    expect(await statuses()).toEqual([200, 429]);
    request.destroy();
    await expect.poll(statuses, { timeout: 10_000 }).toEqual([200, 200]);
  });

  test('passes events on over HTTP/2', async () => {
    const { key, api } = await createOrg();
    const session = connect(`https://127.0.0.1:${proxy.port}`, { ca: proxy.ca, servername: HOST });
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ':path': '/v1/events/stream',
      ':authority': HOST,
      authorization: `Bearer ${key}`,
    });
    let text = '';
    stream.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    await expect.poll(() => text).toMatch(/^id: /m);
    const { task_id } = await api.tasks.create(taskBody() as Parameters<typeof api.tasks.create>[0]);
    await expect.poll(() => text).toContain(task_id);
  });

  test('passes JSON up to the limits, and what is larger to a documented refusal', async () => {
    const { key } = await createOrg();
    const batch = { tasks: [taskBody()] };
    const tried = (body: string, path?: string) => refused(() => post(proxy, key, body, path));
    expect(await tried(padded(taskBody(), BODY_LIMIT))).toBe('201');
    expect(await tried(padded(taskBody(), BODY_LIMIT + 1))).toBe('413 body_too_large');
    expect(await tried(padded(batch, 4 * MIB), '/v1/tasks/batch')).toBe('200');
    expect(await tried(padded(batch, 4 * MIB + 1), '/v1/tasks/batch')).toBe('413 body_too_large');
    // Beyond what the proxy passes on.
    expect(await tried(padded(batch, 27 * MIB), '/v1/tasks/batch')).toBe('413 body_too_large');
  });

  test('passes the largest evidence on, and what is larger to a documented refusal', async () => {
    const { api } = await createOrg();
    const { worker_id } = await api.workers.create({ name: 'W', availability: 'available' });
    const { token } = await api.workers.createToken(worker_id);
    const worker = new BioLayer({ apiKey: token, baseUrl: direct() });
    const body = taskBody({ requirements: {} }) as Parameters<typeof api.tasks.create>[0];
    const { task_id } = await api.tasks.create(body);
    const { data } = await worker.worker.listOffers({ wait: 20 });
    await worker.worker.acceptOffer(data[0]?.offer_id ?? '');
    await worker.worker.startTask(task_id);
    const upload = (bytes: number) =>
      refused(() =>
        proxy.send(`/v1/worker/tasks/${task_id}/evidence?name=a.bin`, {
          method: 'POST',
          credential: token,
          headers: { 'Content-Type': 'application/octet-stream' },
          body: Buffer.alloc(bytes, 1),
        }),
      );
    expect(await upload(MAX_EVIDENCE_BYTES)).toBe('201');
    expect(await upload(MAX_EVIDENCE_BYTES + 1)).toBe('413 body_too_large');
    expect(await upload(28 * MIB)).toBe('413 body_too_large');
  });

  test('goes on when a web process is killed, without a failed request', async () => {
    const { key } = await createOrg();
    const [killed] = webs;
    killed?.process.kill('SIGKILL');
    await killed?.ended;
    // Caddy notices it within a second, see deploy/caddy/Caddyfile.
    const isNoticed = () => name === 'nginx' || proxy.output().includes('connection refused');
    await expect.poll(isNoticed, { timeout: 10_000 }).toBe(true);
    const made = await Promise.all(Array.from({ length: 20 }, () => post(proxy, key, taskBody())));
    await startWeb(0);
    expect(made.map(outcome)).toEqual(made.map(() => '201'));
    const got = await Promise.all(
      Array.from({ length: 20 }, () => proxy.send('/v1/tasks', { credential: key })),
    );
    expect(got.map(outcome)).toEqual(got.map(() => '200'));
  });

  test('answers like BioLayer while no web process runs', async () => {
    const alone = await startReverseProxy(name, [await freePort(), await freePort()]);
    onTestFinished(() => alone.stop());
    for (const asked of [alone.send('/v1/tasks'), post(alone, 'x', taskBody())]) {
      const answer = await asked;
      expect(outcome(answer)).toBe('503 unavailable');
      expect(answer.headers['retry-after']).toBe('2');
      expect(JSON.parse(answer.text).request_id).toBe(answer.headers['request-id']);
    }
  });

  test('passes a long poll to its end', async () => {
    const { key } = await createOrg();
    const { headers } = await post(proxy, key, taskBody());
    const begun = performance.now();
    const got = await proxy.send(`${headers.location}?wait=2`, { credential: key });
    expect([outcome(got), performance.now() - begun > 1900]).toEqual(['200', true]);
  });

  test('passes a 503 on, with its Retry-After', async () => {
    const { key } = await createOrg();
    redis.freeze();
    try {
      for (const request of [
        () => post(proxy, key, taskBody()),
        () => proxy.send('/v1/tasks', { credential: key }),
      ]) {
        const answer = await request();
        expect(outcome(answer)).toBe('503 unavailable');
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
        expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      }
    } finally {
      redis.resume();
    }
    await expect
      .poll(async () => outcome(await post(proxy, key, taskBody())), { timeout: 20_000 })
      .toBe('201');
  });
});
