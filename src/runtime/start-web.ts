// Starts the API on a port: the connections to Redis, the HTTP server with its limits for slow clients and clients
// with too many connections, and an orderly shutdown.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { DefaultQuotas } from '../api/access/admission.ts';
import { ClientAddresses } from '../api/access/client-address.ts';
import { limitConnections } from '../api/access/connection-limit.ts';
import type { InFlightOptions } from '../api/access/in-flight.ts';
import { createApp } from '../api/app.ts';
import { handleClientErrors } from '../api/http/client-error.ts';
import { CONNECTIONS, type Config, MEMORY_HIGH_WATER } from '../config.ts';
import { OutputSchemas } from '../output-schema/output-schemas.ts';
import { Archiver } from '../processors/archiver.ts';
import { Queues } from '../queues/queues.ts';
import { queuePrefix } from '../queues/shards.ts';
import { DEFAULT_STORAGE_QUOTAS, type StorageQuotas } from '../state/access/storage-quotas.ts';
import { createAddressPolicy } from '../state/webhooks/callback-url.ts';
import { Archive } from '../store/archive/archive.ts';
import { openEvidenceFiles } from '../store/evidence/files.ts';
import { PASSWORD_COST, type PasswordCost } from '../store/identity/passwords.ts';
import { sweepEvidence } from '../store/maintenance/evidence-sweep.ts';
import { confirmShards } from '../store/maintenance/queue-layout.ts';
import { withUnreadableLog } from '../store/maintenance/unreadable-log.ts';
import { Heartbeat } from '../store/metrics/heartbeat.ts';
import { logClock, RedisClock } from '../store/redis/clock.ts';
import { connect, connectSubscriber, type Db, whenReady } from '../store/redis/connection.ts';
import { confirmByReplicas, type ReplicaStatus } from '../store/redis/durability.ts';
import { KeyConnections } from '../store/redis/key-connections.ts';
import { replicatedKey } from '../store/redis/keys.ts';
import { type MemoryEvent, MemoryWatch } from '../store/redis/memory-watch.ts';
import { OutageLog } from '../store/redis/outage-log.ts';
import { Changes } from '../store/redis/pub-sub.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import type { RedisClient } from '../store/redis/servers.ts';
import type { Topology } from '../store/redis/topology.ts';
import { OpenConnections } from './open-connections.ts';
import { PREFIX, VERSION } from './process.ts';
import { asStartupFault, listenError } from './startup-fault.ts';

/** Size of the listen queue. The operating system delays or resets connections beyond it. */
const LISTEN_BACKLOG = 4096;

/** Interval of the sweep that deletes orphaned files, ms. */
const SWEEP_EVERY = 600_000;

const DAY = 24 * 3600 * 1000;

/** How long a shutdown waits for requests on idle connections, ms: most clients in use send one within that time. */
const LINGER_MS = 1000;

/** Time limits for slow clients, ms, and limits of concurrent connections. */
export interface ClientLimits {
  /** Time for the request headers. */
  headers: number;
  /** Time for a JSON body; an upload has the time of the whole request. */
  body: number;
  /** Time for a whole request. */
  request: number;
  /** A connection without any byte in either direction for this long is closed. */
  idle: number;
  /** Connections of the process. */
  connections: number;
  /** Connections of one client address that is not a trusted proxy. */
  addressConnections: number;
}

const CLIENT_LIMITS: ClientLimits = {
  headers: 10_000,
  body: 30_000,
  // The longest time of an upload.
  request: 10 * 60_000,
  // Longer than any long poll.
  idle: 2 * 60_000,
  connections: CONNECTIONS.all,
  addressConnections: CONNECTIONS.address,
};

/** The client limits that the configuration sets. */
export function clientLimitsOf({ connections }: Pick<Config, 'connections'>): Partial<ClientLimits> {
  return { connections: connections.all, addressConnections: connections.address };
}

/** How to start the API. */
export interface WebOptions {
  redis: Topology;
  /** Replicas that must have a write before it is confirmed; none by default. */
  durabilityReplicas?: number;
  prefix?: string;
  host: string;
  port: number;
  sealer: Sealer;
  operatorToken: string | undefined;
  /** Number of shards of the queues; one by default. */
  queueShards?: number;
  /** Whether the operator can retry and remove jobs on the queue board; not by default. */
  boardActions?: boolean;
  webhookAllowedNetworks: readonly string[];
  /** Proxies whose X-Forwarded-For is trusted, as CIDRs; none by default. */
  trustedProxies?: readonly string[];
  /** Origins whose web pages may call the API; none by default. */
  corsOrigins?: readonly string[];
  /** Client limits that differ from the defaults. */
  clientLimits?: Partial<ClientLimits>;
  /** Rate limits; none by default. */
  quotas?: DefaultQuotas;
  /** How long a shutdown waits for requests on idle connections, ms; default 1000. */
  lingerMs?: number;
  /** Limits on concurrent requests that differ from the defaults. */
  inFlight?: InFlightOptions;
  /** How much an org may store, where it differs from the defaults. */
  storageQuotas?: StorageQuotas;
  /** Percentage of Redis' memory from which creates are refused; default 85. */
  memoryHighWater?: number;
  /** So many orgs with most open tasks have metrics of their own; none by default. */
  metricsTopOrgs?: number;
  /** Cost of a password hash; only tests set it. */
  passwordCost?: PasswordCost;
  /** How often a waiting request looks for changes that it was not told of, ms; only tests set it. */
  lookEvery?: number;
  /** Origin at which clients reach the API; `own` for the address it listens on, if that is loopback. Without it OAuth is off. */
  publicUrl?: string | undefined;
  /** A folder or an S3 URL, see `openEvidenceFiles`. */
  evidenceStore: string;
  /** Days after which a finished task is archived; 0, the default: never. */
  archiveAfterDays?: number;
  /** The mail server for notices, if there is one; the web process only tells that e-mail can be used. */
  mail?: { url: string } | undefined;
  log: Logger;
}

/** A running API. */
export interface RunningApi {
  url: string;
  port: number;
  db: Db;
  /** Finishes requests in progress, then closes everything. */
  close(): Promise<void>;
}

/**
 * Starts the API, which listens when Redis answers.
 * @throws StartupFault when it cannot listen or open the evidence store.
 */
export async function startWeb(options: WebOptions): Promise<RunningApi> {
  const { log, prefix = PREFIX } = options;
  const limits = { ...CLIENT_LIMITS, ...options.clientLimits };
  const evidence = await asStartupFault(`EVIDENCE_STORE ${options.evidenceStore}`, () =>
    openEvidenceFiles(options.evidenceStore),
  );
  const outages = new OutageLog(log);
  const redis = outages.watch(connect(options.redis, 'request', outages.onError));
  const subscriber = outages.watch(connectSubscriber(options.redis, 'request', outages.onError, redis));
  const queueConnections = new KeyConnections(options.redis, redis, 'request', outages);
  const replicated = connectWriter(options, redis, outages);
  const writer = replicated?.writer ?? null;
  const clock = new RedisClock(redis, { prefix, onEvent: logClock(log) });
  const db = withUnreadableLog({ redis, prefix, clock }, log);
  const archive = new Archive({ db, files: evidence, sealer: options.sealer });
  db.archive = archive;
  const { memoryHighWater = MEMORY_HIGH_WATER } = options;
  const memory = new MemoryWatch(redis, memoryHighWater / 100, logMemory(log));
  const queues = new Queues({
    connectionOf: (shard) => queueConnections.to(queuePrefix(prefix, shard)),
    prefix,
    shards: options.queueShards,
    now: () => clock.now(),
  });
  const schemas = new OutputSchemas();
  const closing = new AbortController();
  const server = createServer({
    headersTimeout: limits.headers,
    requestTimeout: limits.request,
    // How often Node checks the two timeouts above; its default is 30 s.
    connectionsCheckingInterval: Math.min(1000, limits.headers / 4),
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16 * 1024,
    // The API refuses such requests itself, with a problem document.
    requireHostHeader: false,
  });
  const connections = new OpenConnections(server);
  handleClientErrors(server);
  server.timeout = limits.idle;
  server.maxConnections = limits.connections;
  limitConnections(server, limits.addressConnections, new ClientAddresses(options.trustedProxies ?? []));
  // Before it listens: a load balancer sends requests as soon as a connection succeeds.
  await Promise.all([redis, subscriber, ...(writer === null ? [] : [writer])].map(whenReady));
  await queueConnections.ready();
  await clock.start();
  await memory.start();
  const heartbeat = new Heartbeat(db, { kind: 'web', version: VERSION, queueShards: queues.shards.length });
  await heartbeat.start();
  await confirmShards(db, queues.shards.length);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, options.host, options.port)));
    server.listen(options.port, options.host, LISTEN_BACKLOG, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`;
  // Created after the port is known, because the API's own URL contains it.
  const app = createApp({
    db,
    memory,
    replicas: replicated?.status ?? null,
    topOrgs: options.metricsTopOrgs ?? 0,
    changes: new Changes(subscriber, prefix, options.lookEvery),
    queues,
    schemas,
    sealer: options.sealer,
    addressPolicy: createAddressPolicy(options.webhookAllowedNetworks),
    evidence,
    sendsMail: options.mail !== undefined,
    operatorToken: options.operatorToken,
    boardActions: options.boardActions ?? false,
    trustedProxies: options.trustedProxies ?? [],
    corsOrigins: options.corsOrigins ?? [],
    ...(options.inFlight !== undefined && { inFlight: options.inFlight }),
    quotas: options.quotas ?? { key: null, org: null, address: null },
    storageQuotas: options.storageQuotas ?? DEFAULT_STORAGE_QUOTAS,
    passwordCost: options.passwordCost ?? PASSWORD_COST,
    bodyTimeoutMs: limits.body,
    publicUrl: options.publicUrl === 'own' ? ownUrl(options.host, url) : options.publicUrl,
    version: VERSION,
    log,
    closing: closing.signal,
  });
  server.on('request', app.callback());

  // In the web process, because only it has access to the folder with the files.
  const sweep = setInterval(() => {
    sweepEvidence(db, evidence).catch((error) => log.warn({ err: error }, 'evidence sweep interrupted'));
  }, SWEEP_EVERY);
  sweep.unref();

  const { archiveAfterDays = 0 } = options;
  const archiver = new Archiver({
    archive,
    log,
    after: archiveAfterDays === 0 ? null : archiveAfterDays * DAY,
  });
  archiver.start();

  return {
    url,
    port,
    db,
    async close() {
      const closed = connections.close({
        headersMs: limits.headers,
        lingerMs: options.lingerMs ?? LINGER_MS,
      });
      closing.abort();
      await Promise.all([closed, archiver.close()]);
      clearInterval(sweep);
      await heartbeat.stop();
      clock.stop();
      memory.stop();
      await schemas.close();
      await queues.close();
      evidence.close();
      subscriber.disconnect();
      queueConnections.close();
      writer?.disconnect();
      redis.disconnect();
    },
  };
}

/** The connection for writes that replicas must confirm, if they must. */
function connectWriter(
  { redis: topology, durabilityReplicas: least = 0, prefix = PREFIX, log }: WebOptions,
  redis: RedisClient,
  outages: OutageLog,
): { writer: RedisClient; status: ReplicaStatus } | null {
  if (least === 0) return null;
  const writer = outages.watch(connect(topology, 'request', outages.onError, { followsAsk: false }));
  // Reads and writes must reach the same server. In a cluster, servers say themselves what they no longer have.
  if (topology.kind !== 'cluster') {
    redis.on('close', () => writer.status === 'ready' && writer.disconnect(true));
    writer.on('close', () => redis.status === 'ready' && redis.disconnect(true));
  }
  const status = confirmByReplicas(redis, {
    writer,
    keyBeside: (key) => replicatedKey(prefix, key),
    least,
    onChange: ({ isConfirmed, ...fields }) =>
      isConfirmed
        ? log.info(fields, 'replicas confirm writes again')
        : log.warn(fields, 'replicas do not confirm writes, changes are answered with 503'),
  });
  return { writer, status };
}

/** Logs when creates begin to be refused, and when they are taken again. */
function logMemory(log: Logger): (event: MemoryEvent) => void {
  return ({ isHigh, used, limit }) =>
    isHigh
      ? log.warn({ used, limit }, "Redis' memory is above its high-water mark, creates are refused")
      : log.info({ used, limit }, "Redis' memory is below its high-water mark again");
}

/** The API's own URL, only on loopback: elsewhere the origin must be https, or tokens would be sent in plain text. */
function ownUrl(host: string, url: string): string | undefined {
  return ['127.0.0.1', '::1', 'localhost'].includes(host) ? url : undefined;
}
