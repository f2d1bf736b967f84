// Where Redis is: one server, the primary that a group of sentinels names, or the masters of a Redis Cluster. Only
// `connection.ts` makes connections of it.

/** PEM texts: the authority that signs the servers' certificates, and the client's own certificate with its key. */
export interface TlsFiles {
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
}

export interface Host {
  host: string;
  port: number;
}

/** What all forms have in common; `tls` is undefined for plain connections. */
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

/** The masters of a Redis Cluster, each of which has a part of the keys. */
export interface ClusterNodes extends Access {
  kind: 'cluster';
  /** Some of its nodes, which are asked for all others. */
  nodes: readonly Host[];
  username: string | undefined;
  password: string | undefined;
}

export type Topology = SingleServer | SentinelGroup | ClusterNodes;

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
/** Credentials, hosts, path and query of a URL with several hosts. */
const HOSTS_URL = /^rediss?\+[a-z]+:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;

/**
 * Reads a `REDIS_URL`: `redis://` or `rediss://` for one server,
 * `redis+sentinel://user:password@host:port,host:port/group?db=0` or `rediss+sentinel://` for sentinels,
 * `redis+cluster://user:password@host:port,host:port` or `rediss+cluster://` for a Redis Cluster.
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
      return { ...readClusterUrl(text), tls };
    default:
      throw new TopologyFault(
        'must be a redis://, redis+sentinel:// or redis+cluster:// URL, or begin with rediss for TLS',
      );
  }
}

/** Host and port of the server, or the group with its sentinels, without credentials; for messages. */
export function describeTopology(topology: Topology): string {
  const list = (hosts: readonly Host[]) =>
    hosts.map(({ host, port }) => `${bracketed(host)}:${port}`).join(', ');
  if (topology.kind === 'sentinel') return `${topology.name} of the sentinels ${list(topology.sentinels)}`;
  if (topology.kind === 'cluster') return `the cluster of ${list(topology.nodes)}`;
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
  const { hosts, path, parameters, ...credentials } = readHostsUrl(text, DEFAULT_SENTINEL_PORT);
  if (hosts === null || path === '')
    throw new TopologyFault(
      'must name sentinels and their group, as in redis+sentinel://host:26379,host:26379/mymaster',
    );
  const db = parameters.get('db') ?? '0';
  parameters.delete('db');
  if (!/^\d{1,4}$/.test(db)) throw new TopologyFault('may have only a number as db');
  if (parameters.size > 0) throw new TopologyFault('may have no parameter other than db');
  return { kind: 'sentinel' as const, name: decoded(path), sentinels: hosts, db: Number(db), ...credentials };
}

function readClusterUrl(text: string) {
  const { hosts, path, parameters, ...credentials } = readHostsUrl(text, DEFAULT_PORT);
  if (hosts === null)
    throw new TopologyFault('must name nodes of the cluster, as in redis+cluster://host:6379,host:6379');
  if (path !== '' || parameters.size > 0)
    throw new TopologyFault('may have neither a path nor parameters: a cluster has no database numbers');
  return { kind: 'cluster' as const, nodes: hosts, ...credentials };
}

/** The parts of a URL with several hosts; `hosts` is null when one of them cannot be read. */
function readHostsUrl(text: string, defaultPort: number) {
  const [, credentials, list = '', path = '', query] = HOSTS_URL.exec(text) ?? [];
  const hosts = list.split(',').map((one) => readHost(one, defaultPort));
  const known = hosts.filter((one) => one !== null);
  const colon = credentials?.indexOf(':') ?? -1;
  const username = colon < 0 ? credentials : credentials?.slice(0, colon);
  return {
    hosts: known.length < hosts.length ? null : known,
    path,
    parameters: new URLSearchParams(query),
    username: decoded(username ?? '') || undefined,
    password: colon < 0 ? undefined : decoded(credentials?.slice(colon + 1) ?? ''),
  };
}

/** `host`, `host:port` or `[address]:port`; null for anything else. */
function readHost(text: string, defaultPort: number): Host | null {
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(text) ?? [];
  if (host === undefined || Number(port ?? 1) > 65_535) return null;
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? defaultPort : Number(port),
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
