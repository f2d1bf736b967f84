// Brings up the API on a port: its connections to Redis, its server with the limits that slow or greedy
// clients meet, and the way down again.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { DefaultQuotas } from '../api/access/admission.ts';
import { ClientAddresses } from '../api/access/client-address.ts';
import { limitConnections } from '../api/access/connection-limit.ts';
import type { InFlightOptions } from '../api/access/in-flight.ts';
import { createApp } from '../api/app.ts';
import { answerClientError } from '../api/http/client-error.ts';
import { CONNECTIONS, type Config } from '../config.ts';
import { OutputSchemas } from '../output-schema/output-schemas.ts';
import { Queues } from '../queues/queues.ts';
import { type StorageQuotas, USUAL_QUOTAS } from '../state/access/storage-quotas.ts';
import { createAddressPolicy } from '../state/webhooks/callback-url.ts';
import { openEvidenceFiles } from '../store/evidence/files.ts';
import { PASSWORD_COST, type PasswordCost } from '../store/identity/passwords.ts';
import { sweepEvidence } from '../store/maintenance/evidence-sweep.ts';
import { withUnreadableLog } from '../store/maintenance/unreadable-log.ts';
import { logClock, RedisClock } from '../store/redis/clock.ts';
import { connect, type Db, whenReady } from '../store/redis/connection.ts';
import { OutageLog } from '../store/redis/outage-log.ts';
import { Changes } from '../store/redis/pub-sub.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import { PREFIX, VERSION } from './process.ts';
import { listenFault, usable } from './startup-fault.ts';

/** Connections that may wait to be taken: a burst beyond it is made to wait for seconds, or reset. */
const BACKLOG = 4096;

/** How often the files of purged tasks, and those that uploads left behind, are looked for, ms. */
const SWEEP_EVERY = 600_000;

/** How long slow clients are waited for, ms, and how many clients there may be. */
export interface Patience {
  headers: number;
  /** A JSON body; an upload has the time of a whole request. */
  body: number;
  request: number;
  /** A connection on which nothing moves, either way. */
  silence: number;
  connections: number;
  /** Those of one address that is no trusted proxy's. */
  addressConnections: number;
}

const PATIENCE: Patience = {
  headers: 10_000,
  body: 30_000,
  // As long as an upload may take.
  request: 10 * 60_000,
  // Longer than any wait for news.
  silence: 2 * 60_000,
  connections: CONNECTIONS.all,
  addressConnections: CONNECTIONS.address,
};

/** What of it the configuration says. */
export function patienceOf({ connections }: Pick<Config, 'connections'>): Partial<Patience> {
  return { connections: connections.all, addressConnections: connections.address };
}

export interface WebOptions {
  redisUrl: string;
  prefix?: string;
  host: string;
  port: number;
  sealer: Sealer;
  operatorToken: string | undefined;
  webhookAllowedNetworks: readonly string[];
  /** Whose X-Forwarded-For is believed, CIDRs; nobody's unless given. */
  trustedProxies?: readonly string[];
  /** Whose web pages may call, as origins; nobody's unless given. */
  corsOrigins?: readonly string[];
  /** What slow and greedy clients meet, where not the defaults. */
  patience?: Partial<Patience>;
  /** How often who may call; as often as they like unless given. */
  quotas?: DefaultQuotas;
  /** Limits of what requests hold that differ from the usual. */
  inFlight?: InFlightOptions;
  /** How much an org may keep; the usual unless given. */
  storageQuotas?: StorageQuotas;
  /** What the hash of a new password costs; for tests alone, no process sets it. */
  passwordCost?: PasswordCost;
  /** Origin under which clients reach the API; `own` for the one it listens on, where that is loopback. OAuth is off without. */
  publicUrl?: string | undefined;
  /** A folder or an S3 URL, see `openEvidenceFiles`. */
  evidenceStore: string;
  log: Logger;
}

export interface Web {
  url: string;
  port: number;
  db: Db;
  close(): Promise<void>;
}

/** Starts the API; it listens at once and is up when Redis answers. */
export async function startWeb(options: WebOptions): Promise<Web> {
  const { log, prefix = PREFIX } = options;
  const patience = { ...PATIENCE, ...options.patience };
  const evidence = await usable(`EVIDENCE_STORE ${options.evidenceStore}`, () =>
    openEvidenceFiles(options.evidenceStore),
  );
  const outages = new OutageLog(log);
  const redis = outages.watch(connect(options.redisUrl, 'request', outages.onError));
  const subscriber = outages.watch(connect(options.redisUrl, 'request', outages.onError));
  // News come from the server that takes the writes: where one connection leaves a former primary, both do.
  redis.on('close', () => subscriber.status === 'ready' && subscriber.disconnect(true));
  const clock = new RedisClock(redis, { prefix, onEvent: logClock(log) });
  const db = withUnreadableLog({ redis, prefix, clock }, log);
  const queues = new Queues(redis, prefix, () => clock.now());
  const schemas = new OutputSchemas();
  const closing = new AbortController();
  const server = createServer({
    headersTimeout: patience.headers,
    requestTimeout: patience.request,
    // Node looks after the two above this often, every half minute unless told.
    connectionsCheckingInterval: Math.min(1000, patience.headers / 4),
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16 * 1024,
    // Refused by the API, in its own form.
    requireHostHeader: false,
  });
  answerClientError(server);
  server.timeout = patience.silence;
  server.maxConnections = patience.connections;
  limitConnections(server, patience.addressConnections, new ClientAddresses(options.trustedProxies ?? []));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenFault(error, options.host, options.port)));
    server.listen(options.port, options.host, BACKLOG, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`;
  // Not before the port is known, which is part of what the API says of itself.
  const app = createApp({
    db,
    changes: new Changes(subscriber, prefix),
    queues,
    schemas,
    sealer: options.sealer,
    addressPolicy: createAddressPolicy(options.webhookAllowedNetworks),
    evidence,
    operatorToken: options.operatorToken,
    trustedProxies: options.trustedProxies ?? [],
    corsOrigins: options.corsOrigins ?? [],
    ...(options.inFlight !== undefined && { inFlight: options.inFlight }),
    quotas: options.quotas ?? { key: null, org: null, address: null },
    storageQuotas: options.storageQuotas ?? USUAL_QUOTAS,
    passwordCost: options.passwordCost ?? PASSWORD_COST,
    bodyTime: patience.body,
    publicUrl: options.publicUrl === 'own' ? ownUrl(options.host, url) : options.publicUrl,
    version: VERSION,
    log,
    closing: closing.signal,
  });
  server.on('request', app.callback());
  await Promise.all([whenReady(redis), whenReady(subscriber)]);
  await clock.start();

  // Here and not in a worker process: the folder with the files is where the API is.
  const sweep = setInterval(() => {
    sweepEvidence(db, evidence).catch((error) => log.warn({ err: error }, 'evidence sweep interrupted'));
  }, SWEEP_EVERY);
  sweep.unref();

  return {
    url,
    port,
    db,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closing.abort();
      // A kept-alive connection is closed as soon as it is idle, whenever that is.
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      await closed;
      clearInterval(idle);
      clearInterval(sweep);
      clock.stop();
      await schemas.close();
      await queues.close();
      evidence.close();
      subscriber.disconnect();
      redis.disconnect();
    },
  };
}

/** What others than this machine would reach must be named, and be https: a token in the open is everybody's. */
function ownUrl(host: string, url: string): string | undefined {
  return ['127.0.0.1', '::1', 'localhost'].includes(host) ? url : undefined;
}
