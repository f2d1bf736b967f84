// Brings up the API on a port: its connections to Redis, its server with the limits that slow or greedy
// clients meet, and the way down again.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { createApp } from './api/app.ts';
import type { DefaultQuotas } from './api/gate.ts';
import { OutputSchemas } from './api/output-schema.ts';
import { answerUnparsed } from './api/unparsed.ts';
import { PREFIX, VERSION } from './process.ts';
import { Queues } from './queues/queues.ts';
import { createAddressPolicy } from './state/callback-url.ts';
import { Changes } from './store/changes.ts';
import { sweepEvidence } from './store/evidence.ts';
import { openEvidenceFiles } from './store/evidence-files.ts';
import { connect, type Db, RedisClock, whenReady } from './store/redis.ts';
import type { Sealer } from './store/sealed.ts';

/** Connections that may wait to be taken: a burst beyond it is made to wait for seconds, or reset. */
const BACKLOG = 4096;

/** How often the files of purged tasks, and those that uploads left behind, are looked for, ms. */
const SWEEP_EVERY = 600_000;

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
  /** How often who may call; as often as they like unless given. */
  quotas?: DefaultQuotas;
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
  const evidence = await openEvidenceFiles(options.evidenceStore);
  const onError = (error: Error) => log.warn({ err: error }, 'redis');
  const redis = connect(options.redisUrl, 'request', onError);
  const subscriber = connect(options.redisUrl, 'request', onError);
  const clock = new RedisClock(redis);
  const db: Db = { redis, prefix, clock };
  const queues = new Queues(redis, prefix);
  const schemas = new OutputSchemas();
  const closing = new AbortController();
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
    quotas: options.quotas ?? { key: null, org: null, address: null },
    version: VERSION,
    log,
    closing: closing.signal,
  });

  const server = createServer(
    {
      headersTimeout: 10_000,
      // As long as an upload may take; a body of JSON has a time limit of its own.
      requestTimeout: 10 * 60_000,
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16 * 1024,
    },
    app.callback(),
  );
  server.on('clientError', answerUnparsed);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, BACKLOG, resolve);
  });
  const { port } = server.address() as AddressInfo;
  await Promise.all([whenReady(redis), whenReady(subscriber)]);
  await clock.start();

  // Here and not in a worker process: the folder with the files is where the API is.
  const sweep = setInterval(() => {
    sweepEvidence(db, evidence).catch((error) => log.warn({ err: error }, 'evidence sweep interrupted'));
  }, SWEEP_EVERY);
  sweep.unref();

  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}`,
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
