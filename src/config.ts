/**
 * What the environment says, read once at start. The only reader of process.env: every other file gets
 * the values it needs as arguments, so a process either starts with a sound configuration or names all
 * that is wrong with it at once. A fault line names the variable and never repeats a secret's value.
 */
import { join } from 'node:path';
import { type InFlightKind, type InFlightLimits, inFlightLimits } from './state/access/in-flight-limits.ts';
import { cidrOf, parseNetwork } from './state/access/networks.ts';
import {
  forEachQuota,
  highestQuota,
  type StorageQuotas,
  USUAL_QUOTAS,
} from './state/access/storage-quotas.ts';
import { parseQuota, type Quota } from './state/access/token-bucket.ts';

export type ProcessKind = 'web' | 'worker' | 'server';
export type Environment = Readonly<Record<string, string | undefined>>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

export interface Config {
  /** Unset means an embedded Redis (`server`, `cli`). */
  readonly redisUrl: string | undefined;
  readonly host: string;
  /** 0 lets the system pick a free port. */
  readonly port: number;
  readonly operatorToken: string | undefined;
  /** Base64 of the 32 bytes that encrypt secrets at rest. Set whenever `redisUrl` is. */
  readonly secretsKey: string | undefined;
  /** The key before the last rotation: still decrypts, never encrypts. */
  readonly secretsKeyPrevious: string | undefined;
  /** Id of a key that is lost for good: what it sealed is given up. */
  readonly secretsKeyLost: string | undefined;
  /** Non-public networks that webhooks may reach, as normalised CIDRs. */
  readonly webhookAllowedNetworks: readonly string[];
  /** Whose X-Forwarded-For is believed, as normalised CIDRs. */
  readonly trustedProxies: readonly string[];
  /** Whose web pages may call the API, as origins. */
  readonly corsOrigins: readonly string[];
  /** How often each credential, each org, and each address without a credential may call; null: as they like. */
  readonly quotas: { readonly key: Quota | null; readonly org: Quota | null; readonly address: Quota | null };
  /** How much of each kind an org may keep. */
  readonly storageQuotas: StorageQuotas;
  /** Connections at once: of a web process, and of one address that is no trusted proxy's. */
  readonly connections: { readonly all: number; readonly address: number };
  /** What requests hold at once in a web process: bytes of JSON bodies, bytes of uploads, open event streams. */
  readonly inFlight: Readonly<Record<InFlightKind, InFlightLimits>>;
  /** Origin under which clients reach the API; OAuth is off without it. */
  readonly publicUrl: string | undefined;
  /** A folder or an S3 URL. */
  readonly evidenceStore: string;
  readonly logLevel: LogLevel;
  readonly dataDir: string;
  /** How many jobs one worker process runs at once. */
  readonly workerConcurrency: number;
  /** A webhook endpoint to which nothing has got through for this long is disabled. */
  readonly webhookDisableAfterHours: number;
}

/** The configuration of a process that cannot run on an embedded Redis. */
export interface ConnectedConfig extends Config {
  readonly redisUrl: string;
  readonly secretsKey: string;
}

/**
 * High enough that only what ran wild meets them: a client that creates a thousand tasks at once does not.
 * An address gets less, since nobody needs many bad credentials.
 */
export const QUOTAS = {
  key: { requests: 100_000, seconds: 10 },
  org: { requests: 200_000, seconds: 10 },
  address: { requests: 6000, seconds: 60 },
} as const satisfies Record<string, Quota>;

/** One address gets a tenth: many people may share one, and nobody needs so many. */
export const CONNECTIONS = { all: 20_000, address: 2000 } as const;

/** Everything that is wrong with the environment, one line per fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/** Thrown by a parser below; its message completes the sentence "<VARIABLE> …". */
class Fault extends Error {}

/** Reads the environment for one kind of process; throws a `ConfigError` that names every fault. */
export function loadConfig(env: Environment, kind: 'web' | 'worker'): ConnectedConfig;
export function loadConfig(env: Environment, kind: ProcessKind): Config;
export function loadConfig(env: Environment, kind: ProcessKind): Config {
  const { faults, given, read } = reader(env);
  const isConnected = kind === 'web' || kind === 'worker';
  if (isConnected && !given('REDIS_URL')) {
    faults.push(`REDIS_URL is required by the ${kind} process: redis://host:6379 or rediss://…`);
  }
  if ((isConnected || given('REDIS_URL')) && !given('SECRETS_KEY')) {
    faults.push('SECRETS_KEY is required unless Redis is embedded: base64 of 32 random bytes');
  }

  const dataDir = read('DATA_DIR', asText, '.data');
  const config: Config = {
    redisUrl: read('REDIS_URL', asRedisUrl, undefined),
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
      read(`QUOTA_${name.toUpperCase()}`, asInteger(0, highestQuota(name)), USUAL_QUOTAS[name]),
    ),
    connections: {
      all: read('MAX_CONNECTIONS', asInteger(1, 1_000_000), CONNECTIONS.all),
      address: read('MAX_CONNECTIONS_PER_ADDRESS', asInteger(1, 1_000_000), CONNECTIONS.address),
    },
    inFlight: inFlightLimits((name, usual, least) => read(name, asInteger(least, 1e15), usual)),
    publicUrl: read('PUBLIC_URL', asOrigin, undefined),
    evidenceStore: read(
      'EVIDENCE_STORE',
      asText,
      given('DATA_DIR') ? join(dataDir, 'evidence') : './.data/evidence',
    ),
    logLevel: read('LOG_LEVEL', asLogLevel, 'info'),
    dataDir,
    workerConcurrency: read('WORKER_CONCURRENCY', asInteger(1, 100_000), 50),
    webhookDisableAfterHours: read('WEBHOOK_DISABLE_AFTER_HOURS', asInteger(1, 8760), 120),
  };

  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(config);
}

/** Where the `biolayer` command finds the API, and what it shows there. */
export interface CliConfig {
  /** Base URL of the API, without a slash at its end. */
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly operatorToken: string | undefined;
}

/**
 * Reads the environment for the `biolayer` command; throws a `ConfigError` that names every fault.
 * @param given variables that the command line gives; they go before the environment's.
 */
export function loadCliConfig(given: Environment = {}, env: Environment = process.env): CliConfig {
  const { faults, read } = reader({ ...env, ...given });
  const config: CliConfig = {
    url: read('BIOLAYER_URL', asBaseUrl, 'http://127.0.0.1:3000'),
    apiKey: read('BIOLAYER_API_KEY', asCredential, undefined),
    operatorToken: read('OPERATOR_TOKEN', asCredential, undefined),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(config);
}

/** Reads variables by name and collects what is wrong with them. */
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

function asText(text: string): string {
  return text;
}

function asInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new Fault(`must be a whole number from ${min} to ${max}`);
  };
}

function asRedisUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'redis:' && url?.protocol !== 'rediss:') {
    throw new Fault('must be a redis:// or rediss:// URL');
  }
  if (url.hostname === '') throw new Fault('must name a host');
  if (!/^(\/\d*)?$/.test(url.pathname))
    throw new Fault('may have a database number as its path, nothing else');
  return text;
}

function asBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (!isHttp || `${url.username}${url.password}${url.search}${url.hash}` !== '') {
    throw new Fault('must be an http:// or https:// URL, without user, query or fragment');
  }
  return url.href.replace(/\/+$/, '');
}

/** `https://api.example.com`; plain http on loopback alone: tokens and passwords travel there. */
function asOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || `${url.origin}/` !== url.href) {
    throw new Fault('must be an origin such as https://api.example.com, without path, user or query');
  }
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url.protocol === 'http:' && !isLoopback) throw new Fault('must be https, but on loopback');
  return url.origin;
}

function asCredential(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new Fault('must be one word of printable ASCII characters');
}

function asToken(text: string): string {
  if (text.length >= 16) return text;
  throw new Fault('must have at least 16 characters');
}

function asKey(text: string): string {
  const bytes = Buffer.from(text, 'base64');
  // Node's decoder skips what is not base64, so only the round trip shows that nothing was.
  if (bytes.length === 32 && bytes.toString('base64') === text) return text;
  throw new Fault('must be the base64 form of exactly 32 bytes');
}

function asOrigins(text: string): readonly string[] {
  const entries = text.split(',').flatMap((entry) => entry.trim() || []);
  const unknown = entries.filter((one) => !/^https?:$/.test(protocolOf(one)) || new URL(one).origin !== one);
  if (unknown.length === 0) return [...new Set(entries)];
  throw new Fault(
    `must list origins such as https://app.example, which these are not: ${unknown.join(', ')}`,
  );
}

function protocolOf(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : '';
}

function asQuota(text: string): Quota | null {
  if (text === 'off') return null;
  const quota = parseQuota(text);
  if (quota !== null) return quota;
  throw new Fault('must be requests/seconds, such as 600/60, at most a million a second; or off');
}

function asLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level) return level;
  throw new Fault(`must be one of ${LOG_LEVELS.join(', ')}`);
}

function asNetworks(text: string): readonly string[] {
  const entries = text.split(',').flatMap((entry) => entry.trim() || []);
  const networks = entries.map(parseNetwork);
  const unknown = entries.filter((_, index) => networks[index] === null);
  if (unknown.length > 0) {
    throw new Fault(`must list CIDRs or IP addresses, which these are not: ${unknown.join(', ')}`);
  }
  return [...new Set(networks.flatMap((network) => (network === null ? [] : cidrOf(network))))];
}
