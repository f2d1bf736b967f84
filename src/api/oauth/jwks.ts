// The public keys of external issuers, which `fetch-key-set.ts` fetches from the URLs that orgs registered. Keys are cached
// for some minutes. A token with an unknown key causes another fetch, at most one per cool-down; concurrent callers share a fetch.

import { LRUCache } from 'lru-cache';
import type { ConnectOptions } from '../../egress/connect.ts';
import type { AddressPolicy } from '../../state/webhooks/callback-url.ts';
import type { FetchKeySet, KeySet } from './fetch-key-set.ts';

const SECOND_MS = 1000;
const FRESH_MS = 5 * 60 * SECOND_MS;
/** How long keys are used when they cannot be fetched again, ms. */
const STALE_MS = 60 * 60 * SECOND_MS;
const COOL_DOWN_MS = 30 * SECOND_MS;
const MAX_URIS = 500;
/** Concurrent fetches of the process, and of one org, whose servers may all be slow. */
const AT_ONCE = 20;
const AT_ONCE_OF_ORG = 4;

interface Known {
  keys: KeySet | null;
  fetchedAt: number;
  triedAt: number;
  fetching: Promise<void> | null;
}

export class JwksCache {
  /** Loads what fetches the keys at the first fetch: most processes never need its libraries, or need them late. */
  readonly #load: () => Promise<FetchKeySet>;
  readonly #known = new LRUCache<string, Known>({ max: MAX_URIS });
  /** Number of running fetches by org. */
  readonly #running = new Map<string, number>();

  constructor(policy: AddressPolicy, options: Partial<ConnectOptions> = {}) {
    let loaded: Promise<FetchKeySet> | undefined;
    this.#load = () => {
      loaded ??= import('./fetch-key-set.ts').then(({ keySetFetcher }) => keySetFetcher(policy, options));
      return loaded;
    };
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
      const fetchKeySet = await this.#load();
      known.keys = await fetchKeySet(uri);
      known.fetchedAt = performance.now();
    } catch {
      // Keys fetched earlier are used for a while; without them the client must try again.
    } finally {
      this.#count(org, -1);
    }
  }
}
