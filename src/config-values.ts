// The parsers of the values of environment variables. Each throws a `Fault` that says what the value must be, and never
// repeats a secret.

import { readFileSync } from 'node:fs';
import { QUEUES, type QueueName } from './queues/catalogue.ts';
import { cidrOf, parseNetwork } from './state/access/networks.ts';
import { parseQuota, type Quota } from './state/access/token-bucket.ts';
import { readTopology, type Topology, TopologyFault, type TopologyOptions } from './store/redis/topology.ts';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The fault of a value; the message completes a sentence that begins with the variable's name. */
export class Fault extends Error {}

/** How spans are sent: by OTLP as protobuf or as JSON, or written to stdout. */
export type TracesTo = 'http/protobuf' | 'http/json' | 'console';

export function asText(text: string): string {
  return text;
}

export function asSwitch(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new Fault('must be on or off');
}

export function asInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new Fault(`must be a whole number from ${min} to ${max}`);
  };
}

/** The text of a file that the variable names. */
export function asFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Fault(`names a file that cannot be read (${Reflect.get(Object(error), 'code')})`);
  }
}

/** A parser of `REDIS_URL`, with what other variables say. */
export function asTopology(options: TopologyOptions): (text: string) => Topology {
  return (text) => {
    try {
      return readTopology(text, options);
    } catch (error) {
      if (!(error instanceof TopologyFault)) throw error;
      throw new Fault(error.message);
    }
  };
}

export function asSmtpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'smtp:' && url?.protocol !== 'smtps:') {
    throw new Fault('must be an smtp:// or smtps:// URL, with user and password if the server asks for them');
  }
  if (url.hostname === '') throw new Fault('must name a host');
  return text;
}

/** An address, or a name with an address in angle brackets. */
export function asMailbox(text: string): string {
  if (/^([^<>\p{Cc}]* )?<[^\s<>@]+@[^\s<>@]+>$|^[^\s<>@,]+@[^\s<>@,]+$/u.test(text)) return text;
  throw new Fault('must be an address, such as work@example.com or BioLayer <work@example.com>');
}

export function asContact(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'mailto:' && /^[^\s@]+@[^\s@]+$/.test(url.pathname)))
    return text;
  throw new Fault('must be a mailto: or https: URL, such as mailto:operations@example.com');
}

export function asBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (!isHttp || `${url.username}${url.password}${url.search}${url.hash}` !== '') {
    throw new Fault('must be an http:// or https:// URL, without user, query or fragment');
  }
  return url.href.replace(/\/+$/, '');
}

/** An origin such as `https://api.example.com`. Plain http only on loopback, because tokens and passwords are sent to it. */
export function asOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || `${url.origin}/` !== url.href) {
    throw new Fault('must be an origin such as https://api.example.com, without path, user or query');
  }
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url.protocol === 'http:' && !isLoopback) throw new Fault('must be https, except on loopback');
  return url.origin;
}

export function asCredential(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new Fault('must consist of printable ASCII characters without spaces');
}

export function asToken(text: string): string {
  if (text.length >= 16) return text;
  throw new Fault('must have at least 16 characters');
}

export function asKey(text: string): string {
  const bytes = Buffer.from(text, 'base64');
  // Node's decoder skips characters that are not base64; the round trip shows whether it skipped any.
  if (bytes.length === 32 && bytes.toString('base64') === text) return text;
  throw new Fault('must be the base64 form of exactly 32 bytes');
}

export function asOrigins(text: string): readonly string[] {
  const entries = text.split(',').flatMap((entry) => entry.trim() || []);
  const unknown = entries.filter((one) => !/^https?:$/.test(protocolOf(one)) || new URL(one).origin !== one);
  if (unknown.length === 0) return [...new Set(entries)];
  throw new Fault(
    `must be a list of origins such as https://app.example; not an origin: ${unknown.join(', ')}`,
  );
}

function protocolOf(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : '';
}

export function asQuota(text: string): Quota | null {
  if (text === 'off') return null;
  const quota = parseQuota(text);
  if (quota !== null) return quota;
  throw new Fault(
    'must be requests/seconds, such as 600/60, with at most a million requests a second; or off',
  );
}

export function asDurability(text: string): 'local' | 'replicated' {
  if (text === 'local' || text === 'replicated') return text;
  throw new Fault('must be local or replicated');
}

/** The exporter of traces; undefined for none. */
export function asTracesExporter(text: string): 'otlp' | 'console' | undefined {
  if (text === 'none') return undefined;
  if (text === 'otlp' || text === 'console') return text;
  throw new Fault('must be otlp, console or none');
}

export function asOtlpProtocol(text: string): Exclude<TracesTo, 'console'> {
  if (text === 'http/protobuf' || text === 'http/json') return text;
  throw new Fault('must be http/protobuf or http/json; gRPC is not supported');
}

export function asHttpUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new Fault('must be an http:// or https:// URL');
}

export function asLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level) return level;
  throw new Fault(`must be one of ${LOG_LEVELS.join(', ')}`);
}

export function asNetworks(text: string): readonly string[] {
  const entries = text.split(',').flatMap((entry) => entry.trim() || []);
  const networks = entries.map(parseNetwork);
  const unknown = entries.filter((_, index) => networks[index] === null);
  if (unknown.length > 0) {
    throw new Fault(`must be a list of CIDRs or IP addresses; not valid: ${unknown.join(', ')}`);
  }
  return [...new Set(networks.flatMap((network) => (network === null ? [] : cidrOf(network))))];
}

/** Numbers of shards and ranges of them, such as `0-3,8`. @param count how many shards there are */
export function asShards(count: number): (text: string) => readonly number[] {
  return (text) => {
    const shards = text.split(',').flatMap((part) => {
      const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim()) ?? [];
      const [from, to] = [Number(first), Number(last)];
      if (first === undefined || from > to) throw new Fault('must be numbers of shards, such as 0-3,8');
      if (to >= count)
        throw new Fault(
          count === 1
            ? 'may name only shard 0, because QUEUE_SHARDS is 1'
            : `may name only the shards 0 to ${count - 1}, because QUEUE_SHARDS is ${count}`,
        );
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    });
    return [...new Set(shards)].toSorted((a, b) => a - b);
  };
}

/** Names of queues, some with their number of parallel jobs, such as `webhooks=400,retries`. */
export function asQueues(text: string): ReadonlyMap<QueueName, number | null> {
  return new Map(
    text.split(',').map((part) => {
      const [, name, atOnce] = /^(\w+)(?:=([1-9]\d{0,5}))?$/.exec(part.trim()) ?? [];
      const queue = QUEUES.find((one) => one === name);
      if (queue === undefined)
        throw new Fault(
          `must be names of queues (${QUEUES.join(', ')}), each alone or with its number of parallel jobs, such as webhooks=400`,
        );
      return [queue, atOnce === undefined ? null : Number(atOnce)] as const;
    }),
  );
}
