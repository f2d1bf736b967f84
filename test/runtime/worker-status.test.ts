// What a worker process shows of itself: health and metrics on a port of its own.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startCallbackReceiver } from '../support/callback-receiver.ts';
import { documentedMetrics, hasMetric } from '../support/metrics.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { taskBody } from '../support/workers.ts';

/** Each test starts Node, on a machine that may be busy. */
vi.setConfig({ testTimeout: 60_000 });

const SECRETS_KEY = randomBytes(32).toString('base64');

let redis: OwnRedis;
let dir: string;
beforeAll(async () => {
  redis = await startOwnRedis();
  dir = await mkdtemp(join(tmpdir(), 'biolayer-status-'));
});
afterAll(async () => {
  await redis.stop();
  await rm(dir, { recursive: true });
});

function startWorker(env: Record<string, string> = {}): RunningProcess {
  return startProcess(process.execPath, ['dist/src/worker.js'], {
    REDIS_URL: redis.url,
    SECRETS_KEY,
    METRICS_PORT: '0',
    ...env,
  });
}

async function statusUrl({ ready }: RunningProcess): Promise<string> {
  const { metrics_url } = (await ready) as { metrics_url?: string };
  if (metrics_url === undefined) throw new Error('the worker shows no status');
  return metrics_url;
}

/** Creates a task through a web process of its own. */
async function createTask(callback_url: string): Promise<void> {
  const operator = 'operator-token-of-the-test';
  const web = startProcess(process.execPath, ['dist/src/web.js'], {
    REDIS_URL: redis.url,
    SECRETS_KEY,
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    PORT: '0',
    OPERATOR_TOKEN: operator,
    EVIDENCE_STORE: dir,
  });
  const { url = '' } = await web.ready;
  const post = async (path: string, token: string, body: unknown) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(response.status).toBe(201);
    return (await response.json()) as { api_key: string };
  };
  const { api_key } = await post('/admin/orgs', operator, { name: 'Status' });
  await post('/v1/tasks', api_key, taskBody({ handoff: { callback_url } }));
}

describe('the status of a worker process', () => {
  test('is alive and ready, and not ready while Redis is away', async () => {
    const worker = startWorker();
    const url = await statusUrl(worker);
    expect(await (await fetch(`${url}/livez`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ok' });
    expect((await fetch(`${url}/v1/tasks`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);

    redis.freeze();
    const away = await fetch(`${url}/readyz`);
    expect(away.status).toBe(503);
    expect(await away.json()).toEqual({ status: 'unavailable', reason: 'Redis does not answer.' });
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    redis.resume();
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(200);
    worker.process.kill('SIGTERM');
    expect((await worker.ended).code).toBe(0);
  });

  test('counts what it does, and has every metric that the documentation names', async () => {
    const worker = startWorker({ WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' });
    const url = await statusUrl(worker);
    const receiver = await startCallbackReceiver();
    await createTask(`${receiver.url}/hook`);

    const metrics = async () => (await fetch(`${url}/metrics`)).text();
    await expect
      .poll(metrics, { timeout: 20_000 })
      .toMatch(/^biolayer_delivery_attempt_duration_seconds_count\{outcome="succeeded"\} [1-9]/m);
    await expect.poll(metrics).toMatch(/^biolayer_jobs_running\{queue="webhooks"\} 0$/m);
    const text = await metrics();
    expect(text).toMatch(
      /^biolayer_job_duration_seconds_count\{queue="webhooks",job="deliver",outcome="done"\} [1-9]/m,
    );
    expect(text).toMatch(/^biolayer_redis_reconnects_total 0$/m);
    expect(text).toMatch(/^biolayer_delivery_attempts_total\{outcome="succeeded",attempt="1"\} [1-9]/m);
    expect(text).toMatch(/^biolayer_outbox_relayed_total [1-9]/m);
    const named = [
      ...(await documentedMetrics('A worker process answers')),
      ...(await documentedMetrics('Metrics of both kinds of process')),
    ];
    expect(named.filter((one) => !hasMetric(text, one))).toEqual([]);
    const ours = [...text.matchAll(/^# TYPE (biolayer_\w+) /gm)].map(([, name]) => name);
    expect(ours.filter((name) => !named.includes(name ?? ''))).toEqual([]);
    worker.process.kill('SIGTERM');
    await worker.ended;
  });

  test('is nowhere without METRICS_PORT, and a port that is taken is a fault with its remedy', async () => {
    const quiet = startWorker({ METRICS_PORT: '' });
    expect(await quiet.ready).not.toHaveProperty('metrics_url');
    const worker = startWorker();
    const { port } = new URL(await statusUrl(worker));
    const { code, stderr } = await startWorker({ METRICS_PORT: port }).ended;
    expect(code).toBe(1);
    expect(stderr).toBe(
      `BioLayer could not start: another process listens on 127.0.0.1:${port}: stop it, or set METRICS_PORT to another port\n`,
    );
  });
});
