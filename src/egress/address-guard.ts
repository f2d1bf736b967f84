// Decides which addresses a delivery may dial. A host name is resolved once, every answer is judged, and
// one bad answer refuses the whole name; what passes is the pinned list that the dialler must use, so
// nothing is looked up a second time between the decision and the socket. The rules are pure and live in
// `state/webhooks/callback-url.ts`; this file adds the look-up.

import { Resolver as DnsResolver, lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type AddressPolicy, addressStanding } from '../state/webhooks/callback-url.ts';

export type {
  AddressPolicy,
  Target,
} from '../state/webhooks/callback-url.ts';
export {
  addressStanding,
  createAddressPolicy,
  parseTarget,
} from '../state/webhooks/callback-url.ts';

/** All addresses of a host name. Rejects when there are none; gives up when the signal aborts. */
export type Resolver = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

export type Resolution =
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly errorClass: 'dns' | 'address_refused'; readonly reason: string };

/**
 * Resolves a host and judges every address. `listedOnly` demands that all are listed by the operator, not
 * merely public (plain http, single-label names). The reason never names an address or whether the
 * name exists inside: it is shown to the customer, who must not learn the inside of the network from it.
 * @throws the signal's reason, when it aborts first.
 */
export async function resolveTarget(
  host: string,
  policy: AddressPolicy,
  resolver: Resolver,
  signal: AbortSignal,
  { listedOnly = false }: { listedOnly?: boolean } = {},
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
    const standing = addressStanding(ip, policy);
    return listedOnly ? standing === 'listed' : standing !== 'refused';
  };
  if (!addresses.every(isGood)) {
    const kind = listedOnly ? 'that WEBHOOK_ALLOWED_NETWORKS does not list' : 'that is not public';
    return { ok: false, errorClass: 'address_refused', reason: `The host name leads to an address ${kind}.` };
  }
  return { ok: true, addresses: [...new Set(addresses)] };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
}

/** The promise's outcome, or the signal's reason as a rejection: a resolver may ignore its signal. */
async function settleBefore<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * The machine's own name resolution. Names with a dot are asked over DNS by c-ares, because the system's
 * getaddrinfo runs on libuv's four threads, where one customer's dead name server would hold up everybody.
 * Names of a single label, `localhost`, and (where the operator lists networks) names that DNS does not
 * know go to getaddrinfo, which reads the hosts file and the search list.
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

interface CachedAnswer {
  expiresAt: number;
  readonly addresses: Promise<readonly string[]>;
}

/**
 * Remembers answers for `ttlMs` (from `performance.now()`), and shares one look-up between all who ask
 * while it runs. Failures are not kept. Holds at most `size` names, dropping the oldest. Answers are kept,
 * never decisions: each use is judged anew.
 */
export function cacheAnswers(
  resolver: Resolver,
  { ttlMs, timeoutMs, size = 1000 }: { ttlMs: number; timeoutMs: number; size?: number },
): Resolver {
  const answers = new Map<string, CachedAnswer>();
  return (host, signal) => {
    const known = answers.get(host);
    if (known !== undefined && performance.now() < known.expiresAt) {
      return settleBefore(known.addresses, signal);
    }
    // The look-up has its own limit: the first one to ask must not end it for the others.
    const limit = AbortSignal.timeout(timeoutMs);
    const addresses = settleBefore(resolver(host, limit), limit);
    const answer: CachedAnswer = { expiresAt: Number.POSITIVE_INFINITY, addresses };
    answers.delete(host);
    const [oldest] = answers.size >= size ? answers.keys() : [];
    if (oldest !== undefined) answers.delete(oldest);
    answers.set(host, answer);
    addresses.then(
      () => {
        answer.expiresAt = performance.now() + ttlMs;
      },
      () => {
        if (answers.get(host) === answer) answers.delete(host);
      },
    );
    return settleBefore(addresses, signal);
  };
}
