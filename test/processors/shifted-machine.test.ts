// A web and a worker process on machines whose wall clocks jump: what is due fires within a second, and nothing else.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort, type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { taskBody } from '../support/people.ts';

const HOUR = 3600_000;
const OPERATOR_TOKEN = 'operator-token-of-the-tests';
const SHIFTS = [0, 2 * HOUR, -2 * HOUR, 400 * 24 * HOUR];

let redis: OwnRedis;
let evidence: string;
let url: string;
const children: ChildProcess[] = [];

async function start(file: string, env: Record<string, string>): Promise<void> {
  const child = spawn(
    process.execPath,
    ['--import', './test/support/shifted-date.mjs', `dist/src/${file}.js`],
    {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  children.push(child);
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes('"msg":"ready"')) resolve();
    });
    child.once('exit', () => reject(new Error(`${file} ended`)));
  });
}

beforeAll(async () => {
  redis = await startOwnRedis();
  evidence = await mkdtemp(join(tmpdir(), 'biolayer-evidence-'));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const env = {
    REDIS_URL: redis.url,
    SECRETS_KEY: Buffer.alloc(32, 5).toString('base64'),
    LOG_LEVEL: 'error',
    CLOCK_SHIFTS: SHIFTS.join(),
  };
  const web = { HOST: '127.0.0.1', PORT: String(port), OPERATOR_TOKEN, EVIDENCE_STORE: evidence };
  await Promise.all([start('web', { ...env, ...web }), start('worker', env)]);
});
afterAll(async () => {
  await Promise.all(
    children.map(async (child) => {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }),
  );
  await redis.stop();
  await rm(evidence, { recursive: true, force: true });
});

async function call<T>(method: string, path: string, credential: string, body?: unknown): Promise<T> {
  const answer = await fetch(url + path, {
    method,
    headers: { Authorization: `Bearer ${credential}`, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${text}`);
  return JSON.parse(text) as T;
}

interface Shown {
  task_id: string;
  status: string;
  created_at: string;
  sla: { breaches: { clock: string; due_at: string; breached_at: string }[] };
}

it('nothing ends early, and what is due ends in time, whichever way the clocks jump', async () => {
  const { api_key } = await call<{ api_key: string }>('POST', '/admin/orgs', OPERATOR_TOKEN, {
    name: 'shifted',
  });
  const create = (sla: object) => call<Shown>('POST', '/v1/tasks', api_key, taskBody({ sla }));
  const show = ({ task_id }: Shown) => call<Shown>('GET', `/v1/tasks/${task_id}`, api_key);
  const soon = () => create({ urgency: 'normal', target_latency_seconds: 2 });
  const lasting = await Promise.all(
    Array.from({ length: 10 }, () =>
      create({
        urgency: 'normal',
        target_latency_seconds: 1800,
        deadline: new Date(Date.now() + HOUR).toISOString(),
      }),
    ),
  );
  for (const [round] of SHIFTS.entries()) {
    // One is due by jobs that were made before the jump, one by jobs made after it.
    const before = await soon();
    if (round > 0) for (const child of children) child.kill('SIGUSR2');
    const after = await soon();
    for (const task of [before, after]) {
      expect(Math.abs(Date.parse(task.created_at) - Date.now())).toBeLessThan(60_000);
      await expect.poll(async () => (await show(task)).sla.breaches.length, { timeout: 10_000 }).toBe(1);
      const [breach] = (await show(task)).sla.breaches;
      const late = Date.parse(breach?.breached_at ?? '') - Date.parse(breach?.due_at ?? '');
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThan(1000);
    }
  }
  for (const task of lasting) {
    const { status, sla } = await show(task);
    expect([status, sla.breaches]).toEqual(['queued', []]);
  }
  expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ok' });
});
