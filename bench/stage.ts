// The environment of a benchmark: a private Redis, processes of BioLayer as in production, and a small client. Everything
// is on loopback and ends with the run.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { Pool } from 'undici';
import { startEmbeddedRedis } from '../src/runtime/embedded-redis.ts';

const OPERATOR_TOKEN = 'bench-operator-token';
const SECRETS_KEY = Buffer.alloc(32, 7).toString('base64');

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

export interface Child {
  pid: number;
  /** The fields of the line that says it is ready. */
  ready: Record<string, unknown>;
  stop(): Promise<void>;
}

export interface BenchEnvironment {
  redisUrl: string;
  redis: Redis;
  /** Starts a compiled file, relative to `dist/`, as a process, with the flags of package.json; resolves when it is ready. */
  start(file: string, env?: Record<string, string>): Promise<Child>;
  close(): Promise<void>;
}

/** Starts a new Redis with AOF every second, as in `docker-compose.yml`. */
export async function startBenchEnvironment(): Promise<BenchEnvironment> {
  const dir = await mkdtemp(join(tmpdir(), 'biolayer-bench-'));
  const embedded = await startEmbeddedRedis({ dir });
  const redis = new Redis(embedded.url);
  const children = new Set<ChildProcess>();
  const kill = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  // A run that fails or is interrupted leaves no process behind.
  process.once('exit', kill);
  return {
    redisUrl: embedded.url,
    redis,
    async start(file, env = {}) {
      const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
      const child = spawn(process.execPath, ['--max-semi-space-size=8', path], {
        env: {
          ...process.env,
          REDIS_URL: embedded.url,
          SECRETS_KEY,
          OPERATOR_TOKEN,
          PORT: '0',
          WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
          LOG_LEVEL: 'warn',
          ...env,
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.add(child);
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      const ready = await new Promise<Record<string, unknown>>((resolve, reject) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
          if (line.includes('"msg":"ready"')) resolve(JSON.parse(line) as Record<string, unknown>);
        });
        void ended.then(() => reject(new Error(`${file} ended before it was ready`)));
      });
      return {
        pid: child.pid ?? 0,
        ready,
        async stop() {
          child.kill('SIGTERM');
          await ended;
          children.delete(child);
        },
      };
    },
    async close() {
      kill();
      process.off('exit', kill);
      redis.disconnect();
      await embedded.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** A JSON client on kept-alive connections. */
export class Client {
  readonly #pool: Pool;

  constructor(url: string, connections: number) {
    this.#pool = new Pool(url, { connections, pipelining: 1 });
  }

  /** Sends a request. @throws Error on any status other than 2xx. */
  async call<T>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    credential: string,
    body?: unknown,
  ): Promise<T> {
    const answer = await this.#pool.request({
      method,
      path,
      headers: {
        authorization: `Bearer ${credential}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return (text === '' ? null : JSON.parse(text)) as T;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** Starts a web process, with a client for it. */
export async function startApi(
  stage: BenchEnvironment,
  env: Record<string, string> = {},
): Promise<{ web: Child; url: string; api: Client }> {
  const web = await stage.start('src/web.js', env);
  const url = String(web.ready.url);
  return { web, url, api: new Client(url, 60) };
}

export interface Org {
  org_id: string;
  api_key: string;
  /** Tokens of workers who are qualified for the task of `cardBody`. */
  workers: string[];
}

/** Creates an org with a pool `bench` and workers who are qualified for the task of `cardBody`. */
export async function createOrg(client: Client, workers: number, capacity: number): Promise<Org> {
  const org = await client.call<{ org_id: string; api_key: string }>('POST', '/admin/orgs', OPERATOR_TOKEN, {
    name: 'Bench',
  });
  await client.call('POST', '/v1/pools', org.api_key, {
    pool_id: 'bench',
    name: 'Bench',
    offer_ttl_seconds: 600,
  });
  const tokens: string[] = [];
  for (let index = 0; index < workers; index += 1) {
    const { worker_id } = await client.call<{ worker_id: string }>('POST', '/v1/workers', org.api_key, {
      name: `Worker ${index}`,
      pool_ids: ['bench'],
      skills: ['phone_verification', 'incident_response'],
      certifications: ['soc-operator'],
      trust_level: 5,
      rating: 5,
      capacity,
      availability: 'available',
    });
    const { token } = await client.call<{ token: string }>(
      'POST',
      `/v1/workers/${worker_id}/tokens`,
      org.api_key,
    );
    tokens.push(token);
  }
  return { ...org, workers: tokens };
}

/** The body of the example task with current times, without evidence. */
export function exampleTaskBody(
  callbackUrl: string | null,
  overrides: { latency?: number; events?: string[]; requestId?: string } = {},
) {
  return {
    origin: {
      product: 'threatlabs',
      request_id: overrides.requestId ?? 'IR-48219',
      created_by: 'system',
      created_at: new Date().toISOString(),
    },
    task_type: 'verification',
    domain: 'security',
    title: 'Verify endpoint owner activity',
    instructions: 'Call the endpoint owner and confirm the 03:42 UTC PowerShell session.',
    context: {
      background: 'EDR flagged anomalous activity; automation needs human confirmation.',
      constraints: ['Do not disclose internal case ID'],
      risk_notes: ['Potential active compromise'],
    },
    sla: {
      urgency: 'high',
      deadline: new Date(Date.now() + 3600_000).toISOString(),
      target_latency_seconds: overrides.latency ?? 600,
    },
    requirements: {
      skills: ['phone_verification', 'incident_response'],
      certifications: ['soc-operator'],
      trust_level: 4,
      min_rating: 4.8,
      worker_pool_id: 'bench',
    },
    output: {
      expected_format: 'structured_json',
      schema: { reached_user: 'boolean', user_confirmed: 'boolean', notes: 'string' },
      evidence_required: false,
    },
    ...(callbackUrl !== null && {
      handoff: {
        callback_url: callbackUrl,
        callback_auth: { type: 'bearer', token: 'redacted' },
        retry_policy: { max_retries: 6, backoff_seconds: 30 },
        ...(overrides.events !== undefined && { events: overrides.events }),
      },
    }),
    audit: { log_required: true, retain_days: 365 },
  };
}
