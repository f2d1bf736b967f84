// The API for tests: started on its own port with its own key prefix, and called over HTTP. The client checks every
// response against the documented schemas (client.ts). Builders create the orgs, keys and pools that a test needs.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type Logger, pino } from 'pino';
import { afterAll } from 'vitest';
import { type ProcessorOptions, startProcessors } from '../../src/processors/processors.ts';
import { type RunningApi, startWeb, type WebOptions } from '../../src/runtime/start-web.ts';
import { createSealer, type Sealer } from '../../src/store/redis/sealing.ts';
import { readTopology } from '../../src/store/redis/topology.ts';
import { Client } from './client.ts';
import { documentedAnswers } from './documented.ts';
import { freshPrefix, openRedis, testRedisUrl } from './redis.ts';

export { Answer, Client, type Problem, type RequestOptions } from './client.ts';

export const OPERATOR_TOKEN = 'operator-token-of-the-tests';

/** Cheap password hashes: they cost a thousandth of those in production. */
const QUICK_PASSWORDS = { N: 2 ** 7, r: 8, p: 1 };

export interface ApiOptions {
  /** Default: the Redis of the suite. */
  redisUrl?: string;
  prefix?: string;
  /** To share sealed secrets with other processes; default: a new one. */
  sealer?: Sealer;
  /** Networks to which webhooks may be sent, CIDR. */
  webhookAllowedNetworks?: readonly string[];
  /** Options that differ from the defaults. */
  web?: Partial<WebOptions>;
  /** Default: `OPERATOR_TOKEN`; null for none. */
  operatorToken?: string | null;
  /** Mail server, links and contact of notices, for API and processors. */
  notices?: Pick<ProcessorOptions, 'mail' | 'vapidSubject' | 'publicUrl'>;
  /** Log of API and processors. */
  log?: Logger;
  /** Whether to run the processors in this process too. */
  processors?: boolean;
}

export interface TestApi {
  url: string;
  prefix: string;
  /** The folder with the evidence files; deleted when the API is closed. */
  evidence: string;
  web: RunningApi;
  /** A connection of the test, to inspect Redis. */
  redis: Redis;
  /** A client with this credential; null for none. */
  client(credential: string | null): Client;
  operator: Client;
  close(): Promise<void>;
}

/** Starts the API with an org for the tests of this file, and closes it after them. */
export async function startApiOfFile(
  options?: ApiOptions,
): Promise<{ api: TestApi; org: Org; client: Client }> {
  const api = await startApi(options);
  afterAll(() => api.close());
  const org = await createOrg(api);
  return { api, org, client: org.client };
}

/** Starts the API, and optionally the processors, on a free port of loopback. */
export async function startApi(options: ApiOptions = {}): Promise<TestApi> {
  const { redisUrl = testRedisUrl(), prefix = freshPrefix(), webhookAllowedNetworks = [] } = options;
  const { operatorToken = OPERATOR_TOKEN } = options;
  const { log = pino({ level: 'error' }) } = options;
  const sealer = options.sealer ?? createSealer([randomBytes(32)]);
  const common = { redis: readTopology(redisUrl), prefix, sealer, webhookAllowedNetworks, log };
  const evidence = await mkdtemp(join(tmpdir(), 'biolayer-evidence-'));
  const web = await startWeb({
    ...common,
    host: '127.0.0.1',
    port: 0,
    lingerMs: 0,
    operatorToken: operatorToken ?? undefined,
    evidenceStore: evidence,
    passwordCost: QUICK_PASSWORDS,
    mail: options.notices?.mail,
    ...options.web,
  });
  const processors = options.processors
    ? await startProcessors({ ...common, ...options.notices, concurrency: 20 })
    : null;
  const redis = openRedis(redisUrl);
  const check = await documentedAnswers(web.url);
  const client = (credential: string | null) => new Client(web.url, credential, check);
  return {
    url: web.url,
    prefix,
    evidence,
    web,
    redis,
    client,
    operator: client(OPERATOR_TOKEN),
    async close() {
      await web.close();
      await processors?.close();
      await rm(evidence, { recursive: true, force: true });
      redis.disconnect();
    },
  };
}

export interface Page<T> {
  data: T[];
  has_more: boolean;
  next_cursor: string | null;
}

export interface TaskView {
  task_id: string;
  org_id: string;
  status: string;
  version: number;
  attempt: number;
  origin: { product: string; request_id: string };
  assignment: Record<string, string | null> | null;
  result: Record<string, unknown> | null;
  failure: { code: string } | null;
  cancellation: { reason: string | null; cancelled_by: string } | null;
  created_at: string;
  [field: string]: unknown;
}

export interface EventView {
  event_id: string;
  type: string;
  sequence: number;
  status: string;
  previous_status: string | null;
  actor: string;
  data: Record<string, unknown>;
  hash: string;
  previous_hash: string | null;
  [field: string]: unknown;
}

export interface OfferView {
  offer_id: string;
  task_id: string;
  status: string;
  [field: string]: unknown;
}

export interface Org {
  org_id: string;
  /** Uses the org's first key, which has all scopes. */
  client: Client;
}

let made = 0;
/** A name that is unique in this test process. */
export function freshName(what: string): string {
  made += 1;
  return `${what}-${process.pid}-${made}`;
}

/** A credential or id with one character changed, but not one of the last, which may be a checksum. */
export function withOneCharChanged(text: string): string {
  return text.slice(0, -8) + (text.at(-8) === 'x' ? 'y' : 'x') + text.slice(-7);
}

/** Creates an org. */
export async function createOrg(api: TestApi, name = freshName('org')): Promise<Org> {
  const { org_id, api_key } = await api.operator.post<{ org_id: string; api_key: string }>('/admin/orgs', {
    name,
  });
  return { org_id, client: api.client(api_key) };
}

export interface KeyOptions {
  scopes?: readonly string[];
  pools?: readonly string[];
  expires_at?: string;
  mode?: 'live' | 'test';
}

/** Creates a key with `client`; by default with all scopes. */
export async function createKey(
  api: TestApi,
  client: Client,
  options: KeyOptions = {},
): Promise<Client & { keyId: string }> {
  const { key, key_id } = await client.post<{ key: string; key_id: string }>('/v1/api-keys', {
    name: freshName('key'),
    scopes: ['*'],
    ...options,
  });
  return Object.assign(api.client(key), { keyId: key_id });
}

/** Creates a pool. @returns its id. */
export async function createPool(client: Client, fields: Record<string, unknown> = {}): Promise<string> {
  const { pool_id } = await client.post<{ pool_id: string }>('/v1/pools', {
    name: freshName('pool'),
    ...fields,
  });
  return pool_id;
}

/** Resolves once `at` (ms since the epoch, or RFC 3339) has passed. */
export async function waitUntil(at: number | string): Promise<void> {
  const end = typeof at === 'number' ? at : Date.parse(at);
  while (Date.now() <= end) await sleep(end - Date.now() + 1);
}
