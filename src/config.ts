/**
 * Reads the configuration from the environment once, at start. This is the only file that reads process.env; all others
 * receive the values they need as arguments. A process either starts with a valid configuration or reports every fault
 * at once. A fault names the variable and never repeats the value of a secret.
 */
import { join } from 'node:path';
import { type InFlightKind, type InFlightLimits, inFlightLimits } from './api/access/in-flight-limits.ts';
import {
  asBaseUrl,
  asContact,
  asCredential,
  asDurability,
  asFile,
  asHttpUrl,
  asInteger,
  asKey,
  asLogLevel,
  asMailbox,
  asNetworks,
  asOrigin,
  asOrigins,
  asOtlpProtocol,
  asQueues,
  asQuota,
  asShards,
  asSmtpUrl,
  asSwitch,
  asText,
  asToken,
  asTopology,
  asTracesExporter,
  Fault,
  type LogLevel,
  type TracesTo,
} from './config-values.ts';
import type { QueueName } from './queues/catalogue.ts';
import { MAX_SHARDS } from './queues/shards.ts';
import {
  DEFAULT_STORAGE_QUOTAS,
  forEachQuota,
  highestQuota,
  type StorageQuotas,
} from './state/access/storage-quotas.ts';
import type { Quota } from './state/access/token-bucket.ts';
import { DISABLE_AFTER_HOURS } from './state/webhooks/endpoint.ts';
import type { TlsFiles, Topology } from './store/redis/topology.ts';

/** Where `npm start` serves the API unless configured otherwise. */
export const DEFAULT_URL = 'http://127.0.0.1:3000';

export type ProcessKind = 'web' | 'worker' | 'server';
export type Environment = Readonly<Record<string, string | undefined>>;

/** The configuration of a process, validated. */
export interface Config {
  /** Undefined for an embedded Redis, which only the `server` process can use. */
  readonly redis: Topology | undefined;
  /** Replicas that must have a write of the API before it is confirmed; 0: it is confirmed at once. */
  readonly durabilityReplicas: number;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly operatorToken: string | undefined;
  /** Base64 of the 32-byte key that encrypts stored secrets. Always set when `redis` is. */
  readonly secretsKey: string | undefined;
  /** The key before the last rotation: it only decrypts. */
  readonly secretsKeyPrevious: string | undefined;
  /** Id of a key that is lost for good: the process starts although secrets sealed with it cannot be opened. */
  readonly secretsKeyLost: string | undefined;
  /** Non-public networks to which webhooks may be sent, as normalised CIDRs. */
  readonly webhookAllowedNetworks: readonly string[];
  /** Proxies whose X-Forwarded-For is trusted, as normalised CIDRs. */
  readonly trustedProxies: readonly string[];
  /** Origins whose web pages may call the API. */
  readonly corsOrigins: readonly string[];
  /** Rate limits of each credential, each org, and each address without a credential; null for no limit. */
  readonly quotas: { readonly key: Quota | null; readonly org: Quota | null; readonly address: Quota | null };
  /** How much of each kind of record an org may store. */
  readonly storageQuotas: StorageQuotas;
  /** Most concurrent connections of a web process, and of one client address that is not a trusted proxy. */
  readonly connections: { readonly all: number; readonly address: number };
  /** Limits of a web process on concurrent requests: bytes of JSON bodies, bytes of uploads, open event streams. */
  readonly inFlight: Readonly<Record<InFlightKind, InFlightLimits>>;
  /** Origin at which clients reach the API; without it OAuth is off. */
  readonly publicUrl: string | undefined;
  /** The SMTP server for notices, and the sender of its messages; undefined: no e-mail is sent. */
  readonly mail: { readonly url: string; readonly from: string } | undefined;
  /** Contact of the operator for push services; undefined: `PUBLIC_URL` if it is https. */
  readonly vapidSubject: string | undefined;
  /** Where evidence files are stored: a folder or an S3 URL. */
  readonly evidenceStore: string;
  /** Days after which a finished task leaves Redis for the evidence store; 0: never. */
  readonly archiveAfterDays: number;
  readonly logLevel: LogLevel;
  readonly dataDir: string;
  /** Where a worker process answers `/metrics`, `/livez` and `/readyz`. Port 0 for any free one; undefined: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number | undefined };
  /** So many orgs with most open tasks have metrics of their own. */
  readonly metricsTopOrgs: number;
  /** Where traces are sent; undefined while they are off. */
  readonly tracesTo: TracesTo | undefined;
  /** Whether the operator can retry and remove jobs on the queue board. */
  readonly boardActions: boolean;
  /** Jobs that one worker process runs concurrently. */
  readonly workerConcurrency: number;
  /** Number of shards of the queues: the same in all processes. */
  readonly queueShards: number;
  /** The shards that a worker process takes; undefined: all. */
  readonly workerShards: readonly number[] | undefined;
  /** The queues that a worker process takes, each with its number of parallel jobs or null; undefined: all. */
  readonly workerQueues: ReadonlyMap<QueueName, number | null> | undefined;
  /** Percentage of Redis' `maxmemory` from which creates are refused. */
  readonly memoryHighWater: number;
  /** A webhook endpoint whose deliveries have all failed for this many hours is disabled. */
  readonly webhookDisableAfterHours: number;
}

/** The configuration of a process that needs an external Redis. */
export interface ConnectedConfig extends Config {
  readonly redis: Topology;
  readonly secretsKey: string;
}

/**
 * Default rate limits. A client that creates a thousand tasks at once stays below them. The limit of an address is lower,
 * because it counts only requests without a valid credential.
 */
export const QUOTAS = {
  key: { requests: 100_000, seconds: 10 },
  org: { requests: 200_000, seconds: 10 },
  address: { requests: 6000, seconds: 60 },
} as const satisfies Record<string, Quota>;

/** Default connection limits. One address gets a tenth, because many clients may share it. */
export const CONNECTIONS = { all: 20_000, address: 2000 } as const;

/** Default percentage of Redis' memory from which creates are refused: the rest is for what finishes work. */
export const MEMORY_HIGH_WATER = 85;

/** All faults of the environment, one line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/** Reads the configuration of one kind of process. @throws ConfigError with every fault. */
export function loadConfig(env: Environment, kind: 'web' | 'worker'): ConnectedConfig;
export function loadConfig(env: Environment, kind: ProcessKind): Config;
export function loadConfig(env: Environment, kind: ProcessKind): Config {
  const { faults, given, read } = reader(env);
  const isConnected = kind === 'web' || kind === 'worker';
  if (isConnected && !given('REDIS_URL')) {
    faults.push(
      `REDIS_URL is required by the ${kind} process: redis://host:6379, redis+sentinel://… or redis+cluster://…`,
    );
  }
  if ((isConnected || given('REDIS_URL')) && !given('SECRETS_KEY')) {
    faults.push('SECRETS_KEY is required unless Redis is embedded: base64 of 32 random bytes');
  }

  const smtpUrl = read('SMTP_URL', asSmtpUrl, undefined);
  const mailFrom = read('MAIL_FROM', asMailbox, undefined);
  if (given('SMTP_URL') && !given('MAIL_FROM')) {
    faults.push('MAIL_FROM is required with SMTP_URL: the sender, such as BioLayer <work@example.com>');
  }

  const tls: TlsFiles = {
    ca: read('REDIS_TLS_CA', asFile, undefined),
    cert: read('REDIS_TLS_CERT', asFile, undefined),
    key: read('REDIS_TLS_KEY', asFile, undefined),
  };
  if (!given('REDIS_TLS_CERT') !== !given('REDIS_TLS_KEY')) {
    faults.push('REDIS_TLS_CERT and REDIS_TLS_KEY are required together: the client certificate and its key');
  }
  const usesTls = given('REDIS_URL')?.startsWith('rediss') ?? false;
  for (const name of ['REDIS_TLS_CA', 'REDIS_TLS_CERT', 'REDIS_TLS_KEY'])
    if (given(name) && !usesTls) faults.push(`${name} has no effect unless REDIS_URL begins with rediss`);
  const durability = read('DURABILITY', asDurability, 'local');
  if (durability === 'replicated' && !given('DURABILITY_REPLICAS')) {
    faults.push('DURABILITY_REPLICAS is required with DURABILITY=replicated: how many replicas Redis has');
  }
  if (durability === 'local' && given('DURABILITY_REPLICAS')) {
    faults.push('DURABILITY_REPLICAS has no effect unless DURABILITY is replicated');
  }
  const topologyOptions = {
    tls,
    sentinelUsername: read('SENTINEL_USERNAME', asText, undefined),
    sentinelPassword: read('SENTINEL_PASSWORD', asText, undefined),
  };

  const queueShards = read('QUEUE_SHARDS', asInteger(1, MAX_SHARDS), 1);
  const dataDir = read('DATA_DIR', asText, '.data');
  const config: Config = {
    redis: read('REDIS_URL', asTopology(topologyOptions), undefined),
    durabilityReplicas: read('DURABILITY_REPLICAS', asInteger(1, 100), 0),
    host: read('HOST', asText, '127.0.0.1'),
    port: read('PORT', asInteger(0, 65_535), 3000),
    operatorToken: read('OPERATOR_TOKEN', asToken, undefined),
    secretsKey: read('SECRETS_KEY', asKey, undefined),
    secretsKeyPrevious: read('SECRETS_KEY_PREVIOUS', asKey, undefined),
    secretsKeyLost: read('SECRETS_KEY_LOST', asText, undefined),
    webhookAllowedNetworks: read('WEBHOOK_ALLOWED_NETWORKS', asNetworks, []),
    trustedProxies: read('TRUSTED_PROXIES', asNetworks, []),
    corsOrigins: read('CORS_ORIGINS', asOrigins, []),
    quotas: {
      key: read('RATE_LIMIT_KEY', asQuota, QUOTAS.key),
      org: read('RATE_LIMIT_ORG', asQuota, QUOTAS.org),
      address: read('RATE_LIMIT_ADDRESS', asQuota, QUOTAS.address),
    },
    storageQuotas: forEachQuota((name) =>
      read(`QUOTA_${name.toUpperCase()}`, asInteger(0, highestQuota(name)), DEFAULT_STORAGE_QUOTAS[name]),
    ),
    connections: {
      all: read('MAX_CONNECTIONS', asInteger(1, 1_000_000), CONNECTIONS.all),
      address: read('MAX_CONNECTIONS_PER_ADDRESS', asInteger(1, 1_000_000), CONNECTIONS.address),
    },
    inFlight: inFlightLimits((name, usual, least) => read(name, asInteger(least, 1e15), usual)),
    publicUrl: read('PUBLIC_URL', asOrigin, undefined),
    mail: smtpUrl === undefined || mailFrom === undefined ? undefined : { url: smtpUrl, from: mailFrom },
    vapidSubject: read('VAPID_SUBJECT', asContact, undefined),
    evidenceStore: read(
      'EVIDENCE_STORE',
      asText,
      given('DATA_DIR') ? join(dataDir, 'evidence') : './.data/evidence',
    ),
    archiveAfterDays: read('ARCHIVE_AFTER_DAYS', asInteger(0, 3650), 0),
    logLevel: read('LOG_LEVEL', asLogLevel, 'info'),
    dataDir,
    metrics: {
      host: read('METRICS_HOST', asText, '127.0.0.1'),
      port: read('METRICS_PORT', asInteger(0, 65_535), undefined),
    },
    tracesTo: tracesTo(read),
    boardActions: read('BOARD_ACTIONS', asSwitch, false),
    workerConcurrency: read('WORKER_CONCURRENCY', asInteger(1, 100_000), 50),
    queueShards,
    workerShards: read('WORKER_SHARDS', asShards(queueShards), undefined),
    workerQueues: read('QUEUES', asQueues, undefined),
    metricsTopOrgs: read('METRICS_TOP_ORGS', asInteger(0, 100), 0),
    memoryHighWater: read('MEMORY_HIGH_WATER', asInteger(10, 99), MEMORY_HIGH_WATER),
    webhookDisableAfterHours: read('WEBHOOK_DISABLE_AFTER_HOURS', asInteger(1, 8760), DISABLE_AFTER_HOURS),
  };

  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(config);
}

/** Where traces are sent; undefined while they are off. By the standard variables, of which the SDK reads the others. */
function tracesTo(read: ReturnType<typeof reader>['read']): TracesTo | undefined {
  const endpoints = [
    read('OTEL_EXPORTER_OTLP_ENDPOINT', asHttpUrl, undefined),
    read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', asHttpUrl, undefined),
  ];
  const usual = endpoints.some((one) => one !== undefined) ? 'otlp' : undefined;
  const exporter = read('OTEL_TRACES_EXPORTER', asTracesExporter, usual);
  const protocol = read('OTEL_EXPORTER_OTLP_PROTOCOL', asOtlpProtocol, 'http/protobuf');
  const isDisabled = read('OTEL_SDK_DISABLED', asText, 'false').toLowerCase() === 'true';
  if (isDisabled || exporter === undefined) return undefined;
  return exporter === 'console' ? 'console' : protocol;
}

/** Where the `biolayer` command finds the API, and its credentials. */
export interface CliConfig {
  /** Base URL of the API, without a trailing slash. */
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly operatorToken: string | undefined;
}

/**
 * Reads the configuration of the `biolayer` command.
 * @param given variables from the command line; they override the environment.
 * @throws ConfigError with every fault.
 */
export function loadCliConfig(given: Environment = {}, env: Environment = process.env): CliConfig {
  const { faults, read } = reader({ ...env, ...given });
  const config: CliConfig = {
    url: read('BIOLAYER_URL', asBaseUrl, DEFAULT_URL),
    apiKey: read('BIOLAYER_API_KEY', asCredential, undefined),
    operatorToken: read('OPERATOR_TOKEN', asCredential, undefined),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(config);
}

/** Reads variables by name and collects their faults. */
function reader(env: Environment) {
  const faults: string[] = [];
  const given = (name: string): string | undefined => env[name]?.trim() || undefined;

  function read<T, F>(name: string, parse: (text: string) => T, fallback: F): T | F {
    const text = given(name);
    if (text === undefined) return fallback;
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      faults.push(`${name} ${error.message}`);
      return fallback;
    }
  }

  return { faults, given, read };
}
