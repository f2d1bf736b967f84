// A web and a worker process on machines whose wall clocks jump: checks run within a second of their due time, nothing
// ends early, and members stay signed in.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from '../support/browser.ts';
import { freePort, type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { taskBody } from '../support/workers.ts';

const HOUR = 3600_000;
const OPERATOR_TOKEN = 'operator-token-of-the-tests';
const SHIFTS = [0, 2 * HOUR, -2 * HOUR, 400 * 24 * HOUR];
/** Further jumps, for the sign-in. */
const MORE_SHIFTS = [-2 * HOUR, 2 * HOUR];

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
    CLOCK_SHIFTS: [...SHIFTS, ...MORE_SHIFTS].join(),
  };
  const web = {
    HOST: '127.0.0.1',
    PORT: String(port),
    OPERATOR_TOKEN,
    EVIDENCE_STORE: evidence,
    PUBLIC_URL: url,
  };
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

it('due times hold, neither early nor late, whichever way the clocks jump', async () => {
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
  for (const _shift of SHIFTS.slice(1)) {
    // The jobs of one were added before the jump, those of the other after it.
    const before = await soon();
    for (const child of children) child.kill('SIGUSR2');
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

it('sign-in, codes and tokens stay valid and carry the true time, whichever way the clock jumps', async () => {
  const { api_key } = await call<{ api_key: string }>('POST', '/admin/orgs', OPERATOR_TOKEN, {
    name: 'people',
  });
  const redirect = 'http://127.0.0.1:9/callback';
  const client = await call<{ client_id: string; client_secret: string }>(
    'POST',
    '/v1/oauth-clients',
    api_key,
    {
      name: 'App',
      grant_types: ['authorization_code'],
      redirect_uris: [redirect],
      scopes: ['tasks:read'],
    },
  );
  const [email, password] = ['ada@example.com', 'correct horse battery'];
  await call('POST', '/v1/members', api_key, { email, name: 'Ada', password, scopes: ['*'] });
  const config = await oauth.discovery(new URL(url), client.client_id, client.client_secret, undefined, {
    algorithm: 'oauth2',
    execute: [oauth.allowInsecureRequests],
  });
  const browser = new Browser(url);
  const now = () => Date.now() / 1000;
  const near = (time: unknown, expected: number) =>
    expect(Math.abs(Number(time) - expected)).toBeLessThan(60);
  let refreshToken = '';
  // The machine's clock changes during each step.
  for (const _shift of MORE_SHIFTS) {
    const verifier = oauth.randomPKCECodeVerifier();
    const authorization = oauth.buildAuthorizationUrl(config, {
      redirect_uri: redirect,
      scope: 'openid tasks:read',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const fresh = await fetch(authorization, { redirect: 'manual' });
    const cookie = fresh.headers.getSetCookie().find((one) => one.startsWith('bl_asked='));
    near(Date.parse(/expires=([^;]+)/i.exec(cookie ?? '')?.[1] ?? '') / 1000, now() + 1800);
    const back = await browser.through(authorization.href, email, password);
    for (const child of children) child.kill('SIGUSR2');
    const tokens = await oauth.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier });
    const claims = tokens.claims();
    near(claims?.iat, now());
    near(claims?.exp, now() + 3600);
    near(claims?.auth_time ?? now(), now());
    const about = await oauth.tokenIntrospection(config, tokens.access_token);
    expect(about.active).toBe(true);
    near(about.iat, now());
    near(about.exp, now() + 3600);
    if (refreshToken !== '') await oauth.refreshTokenGrant(config, refreshToken);
    refreshToken = tokens.refresh_token ?? '';
  }
  await oauth.refreshTokenGrant(config, refreshToken);
  expect(browser.seen.filter((title) => title === 'Sign in')).toHaveLength(1);
});
