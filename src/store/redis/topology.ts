// Where Redis is: one server, or the primary that a group of sentinels names. Only `connection.ts` makes connections of it.

/** PEM texts: the authority that signs the servers' certificates, and the client's own certificate with its key. */
export interface TlsFiles {
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
}

interface Host {
  host: string;
  port: number;
}

/** What both forms have in common; `tls` is undefined for plain connections. */
interface Access {
  tls: TlsFiles | undefined;
}

/** One server, as ioredis reads its URL. */
interface SingleServer extends Access {
  kind: 'single';
  url: string;
}

/** The server that the sentinels name as the primary of the group `name`. */
interface SentinelGroup extends Access {
  kind: 'sentinel';
  name: string;
  sentinels: readonly Host[];
  /** Of the data nodes. */
  username: string | undefined;
  password: string | undefined;
  db: number;
  sentinelUsername: string | undefined;
  sentinelPassword: string | undefined;
}

export type Topology = SingleServer | SentinelGroup;

/** What a URL does not hold. */
export interface TopologyOptions {
  tls?: TlsFiles;
  sentinelUsername?: string | undefined;
  sentinelPassword?: string | undefined;
}

/** A fault of a URL; the message completes a sentence that begins with the variable's name, and holds no secret. */
export class TopologyFault extends Error {}

const DEFAULT_PORT = 6379;
const DEFAULT_SENTINEL_PORT = 26_379;
/** Scheme, credentials, hosts, path and query. */
const SENTINEL_URL = /^rediss?\+sentinel:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;

/**
 * Reads a `REDIS_URL`: `redis://` or `rediss://` for one server,
 * `redis+sentinel://user:password@host:port,host:port/group?db=0` or `rediss+sentinel://` for sentinels.
 * @throws TopologyFault
 */
export function readTopology(text: string, options: TopologyOptions = {}): Topology {
  const [, scheme] = /^([a-z+]+):\/\//.exec(text) ?? [];
  const tls = scheme?.startsWith('rediss') ? (options.tls ?? {}) : undefined;
  switch (scheme) {
    case 'redis':
    case 'rediss':
      return { kind: 'single', url: checkedUrl(text), tls };
    case 'redis+sentinel':
    case 'rediss+sentinel':
      return {
        ...readSentinelUrl(text),
        tls,
        sentinelUsername: options.sentinelUsername,
        sentinelPassword: options.sentinelPassword,
      };
    case 'redis+cluster':
    case 'rediss+cluster':
      throw new TopologyFault(
        'names a Redis Cluster, which is not supported yet: use one server (redis://) or sentinels (redis+sentinel://)',
      );
    default:
      throw new TopologyFault('must be a redis://, rediss://, redis+sentinel:// or rediss+sentinel:// URL');
  }
}

/** Host and port of the server, or the group with its sentinels, without credentials; for messages. */
export function describeTopology(topology: Topology): string {
  if (topology.kind === 'sentinel') {
    const sentinels = topology.sentinels.map(({ host, port }) => `${bracketed(host)}:${port}`);
    return `${topology.name} of the sentinels ${sentinels.join(', ')}`;
  }
  const { hostname, port } = new URL(topology.url);
  return `${hostname}:${port || DEFAULT_PORT}`;
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '') throw new TopologyFault('must name a host');
  if (!/^(\/\d*)?$/.test(url.pathname))
    throw new TopologyFault('may have no path other than a database number');
  return text;
}

function readSentinelUrl(text: string) {
  const [, credentials, hosts = '', name = '', query] = SENTINEL_URL.exec(text) ?? [];
  const sentinels = hosts.split(',').map(readHost);
  const missing =
    'must name sentinels and their group, as in redis+sentinel://host:26379,host:26379/mymaster';
  const known = sentinels.filter((one) => one !== null);
  if (known.length < sentinels.length || name === '') throw new TopologyFault(missing);
  const parameters = new URLSearchParams(query);
  const db = parameters.get('db') ?? '0';
  parameters.delete('db');
  if (!/^\d{1,4}$/.test(db)) throw new TopologyFault('may have only a number as db');
  if (parameters.size > 0) throw new TopologyFault('may have no parameter other than db');
  const colon = credentials?.indexOf(':') ?? -1;
  const username = colon < 0 ? credentials : credentials?.slice(0, colon);
  return {
    kind: 'sentinel' as const,
    name: decoded(name),
    sentinels: known,
    username: decoded(username ?? '') || undefined,
    password: colon < 0 ? undefined : decoded(credentials?.slice(colon + 1) ?? ''),
    db: Number(db),
  };
}

/** `host`, `host:port` or `[address]:port`; null for anything else. */
function readHost(text: string): Host | null {
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(text) ?? [];
  if (host === undefined || Number(port ?? 1) > 65_535) return null;
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? DEFAULT_SENTINEL_PORT : Number(port),
  };
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TopologyFault('has a % that is not followed by two hexadecimal digits');
  }
}
