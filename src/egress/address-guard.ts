// Decides to which addresses a request may connect. A host name is resolved once and every address is checked; one
// refused address refuses the name. The connection then uses exactly the checked addresses, so a second look-up cannot
// return others (DNS rebinding). The rules are pure functions in `state/webhooks/callback-url.ts`.

import { Resolver as DnsResolver, lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { LRUCache } from 'lru-cache';
import { type AddressPolicy, addressClass } from '../state/webhooks/callback-url.ts';

export type {
  AddressPolicy,
  Target,
} from '../state/webhooks/callback-url.ts';
export {
  addressClass,
  createAddressPolicy,
  parseTarget,
} from '../state/webhooks/callback-url.ts';

/** Resolves a host name to all its addresses. Rejects when there are none or the signal aborts. */
export type Resolver = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

/** The checked addresses of a host, or why it is refused. */
export type Resolution =
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly errorClass: 'dns' | 'address_refused'; readonly reason: string };

/**
 * Resolves a host and checks every address.
 * @param host a name or an IP literal.
 * @param options `requiresAllowlist` requires addresses that the operator lists; a public address is not enough. It is set for
 *   plain http and for single-label names.
 * @returns the addresses, or a reason that names no address and does not tell whether the name exists in the internal
 *   network, because integrators see it.
 * @throws the signal's reason when it aborts first.
 */
export async function resolveTarget(
  host: string,
  policy: AddressPolicy,
  resolver: Resolver,
  signal: AbortSignal,
  { requiresAllowlist = false }: { requiresAllowlist?: boolean } = {},
): Promise<Resolution> {
  let addresses: readonly string[];
  try {
    addresses = isIP(host) === 0 ? await settleBefore(resolver(host, signal), signal) : [host];
  } catch (error) {
    signal.throwIfAborted();
    return { ok: false, errorClass: 'dns', reason: `The host name does not resolve (${codeOf(error)}).` };
  }
  if (addresses.length === 0) {
    return { ok: false, errorClass: 'dns', reason: 'The host name has no address.' };
  }
  const isGood = (ip: string) => {
    const reached = addressClass(ip, policy);
    return requiresAllowlist ? reached === 'listed' : reached !== 'refused';
  };
  if (!addresses.every(isGood)) {
    const kind = requiresAllowlist ? 'that WEBHOOK_ALLOWED_NETWORKS does not list' : 'that is not public';
    return { ok: false, errorClass: 'address_refused', reason: `The host name leads to an address ${kind}.` };
  }
  return { ok: true, addresses: [...new Set(addresses)] };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
}

/** Settles like the promise, or rejects with the signal's reason: a resolver may ignore its signal. */
async function settleBefore<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * The name resolution of the machine. Names with a dot are resolved over DNS by c-ares, because getaddrinfo runs on
 * libuv's four threads, where one name server that does not respond would block all other look-ups. Single-label names
 * and `localhost` go to getaddrinfo, which reads the hosts file and the search list, and so do names that DNS does not
 * know if the operator lists networks.
 * @param options `servers` default to those of the machine; `timeoutMs` of one DNS query; `system` is for tests.
 */
export function systemResolver(
  policy: AddressPolicy,
  {
    servers,
    timeoutMs = 2500,
    system = askSystem,
  }: { servers?: readonly string[]; timeoutMs?: number; system?: (host: string) => Promise<string[]> } = {},
): Resolver {
  return async (host, signal) => {
    if (!host.includes('.') || host.endsWith('.localhost')) return await system(host);
    const answers = await askDns(host, signal, servers, timeoutMs);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) return addresses;
    signal.throwIfAborted();
    if (policy.listed.length > 0) return await system(host);
    throw answers.find((answer) => answer.status === 'rejected')?.reason ?? new Error('no address');
  };
}

async function askSystem(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

async function askDns(
  host: string,
  signal: AbortSignal,
  servers: readonly string[] | undefined,
  timeoutMs: number,
): Promise<PromiseSettledResult<string[]>[]> {
  const dns = new DnsResolver({ timeout: timeoutMs, tries: 2 });
  if (servers !== undefined) dns.setServers(servers);
  const cancel = () => dns.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await Promise.allSettled([dns.resolve4(host), dns.resolve6(host)]);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/**
 * Caches the addresses of a resolver for `ttlMs`, and shares a running look-up between callers. Failures are not cached.
 * Keeps at most `size` names and evicts the least recently used. Only addresses are cached: `resolveTarget` checks them on
 * every use.
 * @param options `timeoutMs` limits one look-up.
 */
export function cacheAnswers(
  resolver: Resolver,
  { ttlMs, timeoutMs, size = 1000 }: { ttlMs: number; timeoutMs: number; size?: number },
): Resolver {
  const answers = new LRUCache<string, Promise<readonly string[]>>({ max: size, ttl: ttlMs });
  return (host, signal) => {
    const known = answers.get(host);
    if (known !== undefined) return settleBefore(known, signal);
    // The look-up has its own time limit, so that the first caller's signal does not end it for the others.
    const limit = AbortSignal.timeout(timeoutMs);
    const addresses = settleBefore(resolver(host, limit), limit);
    // Without a time to live while it runs: it starts with the answer.
    answers.set(host, addresses, { ttl: 0 });
    const isCached = () => answers.peek(host) === addresses;
    addresses.then(
      // For the library a time to live of 0 has no end.
      () => isCached() && (ttlMs > 0 ? answers.set(host, addresses) : answers.delete(host)),
      () => isCached() && answers.delete(host),
    );
    return settleBefore(addresses, signal);
  };
}
