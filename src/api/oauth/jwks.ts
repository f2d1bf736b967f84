// The public keys of external issuers, fetched from the URLs that orgs registered. The URLs are untrusted, so connections
// are made as for webhooks: address checked and pinned, no redirects, limited time and size. Keys are cached for some
// minutes. A token with an unknown key causes another fetch, at most one per cool-down; concurrent callers share a fetch.

import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { LRUCache } from 'lru-cache';
import { Client, type Dispatcher } from 'undici';
import { systemResolver } from '../../egress/address-guard.ts';
import { type Connect, type ConnectOptions, createConnect } from '../../egress/connect.ts';
import { type AddressPolicy, parseTarget } from '../../state/webhooks/callback-url.ts';

const SECOND_MS = 1000;
const FRESH_MS = 5 * 60 * SECOND_MS;
/** How long keys are used when they cannot be fetched again, ms. */
const STALE_MS = 60 * 60 * SECOND_MS;
const COOL_DOWN_MS = 30 * SECOND_MS;
const TIME_LIMIT_MS = 1500;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 100;
const MAX_URIS = 500;
/** Concurrent fetches of the process, and of one org, whose servers may all be slow. */
const AT_ONCE = 20;
const AT_ONCE_OF_ORG = 4;

export type KeySet = ReturnType<typeof createLocalJWKSet>;

interface Known {
  keys: KeySet | null;
  fetchedAt: number;
  triedAt: number;
  fetching: Promise<void> | null;
}

export class JwksCache {
  readonly #policy: AddressPolicy;
  readonly #connect: Connect;
  readonly #known = new LRUCache<string, Known>({ max: MAX_URIS });
  /** Number of running fetches by org. */
  readonly #running = new Map<string, number>();

  constructor(policy: AddressPolicy, options: Partial<ConnectOptions> = {}) {
    this.#policy = policy;
    this.#connect = createConnect({ policy, resolver: systemResolver(policy), ...options });
  }

  /**
   * The keys at `uri`; null when they cannot be fetched now, so that a token can be neither accepted nor rejected.
   * @param unknown whether the keys of an earlier call did not contain the needed one.
   * @param org the org of the issuer; its concurrent fetches are limited.
   */
  async keysOf(uri: string, unknown = false, org = ''): Promise<KeySet | null> {
    const now = performance.now();
    const known = this.#known.get(uri) ?? this.#remember(uri);
    const isFresh = known.keys !== null && now - known.fetchedAt < FRESH_MS && !unknown;
    if (!isFresh && (known.fetching !== null || now - known.triedAt >= COOL_DOWN_MS)) {
      if (known.fetching === null && !this.#mayFetch(org)) {
        if (unknown) return null;
      } else {
        known.fetching ??= this.#fetch(uri, org, known).finally(() => {
          known.fetching = null;
        });
        await known.fetching;
      }
    }
    return performance.now() - known.fetchedAt < STALE_MS ? known.keys : null;
  }

  #mayFetch(org: string): boolean {
    let all = 0;
    for (const count of this.#running.values()) all += count;
    return all < AT_ONCE && (this.#running.get(org) ?? 0) < AT_ONCE_OF_ORG;
  }

  #count(org: string, change: 1 | -1): void {
    const count = (this.#running.get(org) ?? 0) + change;
    if (count === 0) this.#running.delete(org);
    else this.#running.set(org, count);
  }

  #remember(uri: string): Known {
    const known: Known = {
      keys: null,
      fetchedAt: Number.NEGATIVE_INFINITY,
      triedAt: Number.NEGATIVE_INFINITY,
      fetching: null,
    };
    this.#known.set(uri, known);
    return known;
  }

  async #fetch(uri: string, org: string, known: Known): Promise<void> {
    this.#count(org, 1);
    known.triedAt = performance.now();
    try {
      known.keys = createLocalJWKSet(await this.#read(uri));
      known.fetchedAt = performance.now();
    } catch {
      // Keys fetched earlier are used for a while; without them the client must try again.
    } finally {
      this.#count(org, -1);
    }
  }

  async #read(uri: string): Promise<JSONWebKeySet> {
    const target = parseTarget(uri, this.#policy);
    if (!target.ok) throw new Error(target.reason);
    const signal = AbortSignal.timeout(TIME_LIMIT_MS);
    const trace = { stage: '', queueMs: null, dnsMs: null, connectMs: null, tlsMs: null, reused: false };
    const { socket } = await this.#connect(target, trace, signal);
    let isUsed = false;
    const client = new Client(target.url.origin, {
      // Hands out the connected socket once: another connection would bypass the address check. Asynchronously, because
      // undici loses the request when the callback is called synchronously.
      connect: (_options, callback) => {
        process.nextTick(() => {
          if (socket.destroyed || isUsed) callback(new Error('the connection is closed'), null);
          else callback(null, socket);
          isUsed = true;
        });
      },
      maxResponseSize: MAX_BYTES,
      maxHeaderSize: 16 * 1024,
      pipelining: 1,
    });
    try {
      const response: Dispatcher.ResponseData = await client.request({
        path: target.url.pathname + target.url.search,
        method: 'GET',
        headers: { accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' },
        signal,
      });
      if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
      const { keys } = (await response.body.json()) as { keys: unknown };
      if (!Array.isArray(keys) || keys.length > MAX_KEYS) throw new Error('not a set of keys');
      return { keys };
    } finally {
      await client.destroy();
    }
  }
}
