// Opens a socket to a target: look-up, TCP connection to a checked address, check of the peer, TLS handshake. The peer
// is checked before the handshake, so not even a ClientHello reaches an address that is not allowed. Every step ends
// when the caller's signal aborts, and fails with a DeliveryError.

import {
  isIP,
  type LookupFunction,
  connect as netConnect,
  type Socket,
  type TcpNetConnectOpts,
} from 'node:net';
import { buildConnector } from 'undici';
import {
  type AddressPolicy,
  addressClass,
  type Resolver,
  resolveTarget,
  type Target,
} from './address-guard.ts';

/** Why a delivery failed. The values are stable: they are stored, counted and shown by the API. */
export type ErrorClass =
  | 'http_status'
  | 'redirect'
  | 'timeout'
  | 'dns'
  | 'address_refused'
  | 'connect'
  | 'tls'
  | 'reset'
  | 'protocol'
  | 'bad_url'
  /** Nothing was sent, because the secrets that sign or authorize the delivery cannot be opened. */
  | 'secret_unavailable';

/** Why an attempt failed; the message is a sentence for the operator of the receiver. */
export class DeliveryError extends Error {
  readonly errorClass: ErrorClass;

  constructor(errorClass: ErrorClass, message: string) {
    super(message);
    this.errorClass = errorClass;
  }
}

/** Duration of each phase of an attempt, ms; null for a phase that was skipped or not reached. */
export interface Trace {
  /** The current phase, to complete the sentence "time ran out …". */
  stage: string;
  /** Waiting for a free connection. */
  queueMs: number | null;
  dnsMs: number | null;
  connectMs: number | null;
  tlsMs: number | null;
  /** Whether the attempt uses a socket that an earlier attempt opened. */
  reused: boolean;
}

export interface ConnectOptions {
  policy: AddressPolicy;
  resolver: Resolver;
  /** Certificates to trust instead of the public ones, PEM. */
  ca?: string | undefined;
  /** Opens the TCP socket; a test replaces it to prove that the peer is checked. */
  connectTcp?: ((options: TcpNetConnectOpts) => Socket) | undefined;
}

interface Connected {
  readonly socket: Socket;
  /** Address of the peer, as the operating system reports it. */
  readonly address: string;
}

/** Opens a connection. @throws DeliveryError, or the signal's reason. */
export type Connect = (target: Target, trace: Trace, signal: AbortSignal) => Promise<Connected>;

/** Delay before the next of several addresses is tried too (RFC 8305), ms. Node's 250 ms is too short for distant hosts. */
const NEXT_ADDRESS_MS = 1500;

/** A `Connect` for one policy. It keeps TLS sessions, so later connections to a receiver can resume one. */
export function createConnect({ policy, resolver, ca, connectTcp = netConnect }: ConnectOptions): Connect {
  const trust = ca === undefined ? {} : { ca };
  const startTls = buildConnector({ timeout: 0, allowH2: false, rejectUnauthorized: true, ...trust });

  return async (target, trace, signal) => {
    const { host, url, requiresAllowlist } = target;
    let startedAt = performance.now();
    if (target.literal === null) trace.stage = 'while the host name was being resolved';
    const found = await resolveTarget(host, policy, resolver, signal, { requiresAllowlist }).finally(() => {
      if (target.literal === null) trace.dnsMs = performance.now() - startedAt;
    });
    if (!found.ok) throw new DeliveryError(found.errorClass, found.reason);

    startedAt = performance.now();
    trace.stage = 'while connecting';
    const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
    const tcp = connectTcp({
      host,
      port,
      lookup: pinned(found.addresses),
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
      noDelay: true,
      keepAlive: true,
    });
    await settled('connect', tcp, signal, (settle) => tcp.once('connect', () => settle(null, tcp))).finally(
      () => {
        trace.connectMs = performance.now() - startedAt;
      },
    );

    const address = tcp.remoteAddress ?? '';
    const reached = addressClass(address, policy);
    if (requiresAllowlist ? reached !== 'listed' : reached === 'refused') {
      tcp.destroy();
      throw new DeliveryError('address_refused', 'The connection ended at an address that is not public.');
    }
    if (url.protocol === 'http:') return { socket: tcp, address };

    startedAt = performance.now();
    trace.stage = 'during the TLS handshake';
    const options = { protocol: 'https:', hostname: host, host, port: String(port), httpSocket: tcp };
    const socket = await settled('tls', tcp, signal, (settle) => startTls(options, settle)).finally(() => {
      trace.tlsMs = performance.now() - startedAt;
    });
    return { socket, address };
  };
}

/** A look-up function that always returns the checked addresses. Node does not call it for an IP literal. */
function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, callback) => {
    const [first = { address: '', family: 0 }] = all;
    if (options.all === true) callback(null, all);
    else callback(null, first.address, first.family);
  };
}

/** Resolves to the socket that `start` reports. Destroys the TCP socket when it fails or the signal aborts first. */
async function settled(
  errorClass: 'connect' | 'tls',
  tcp: Socket,
  signal: AbortSignal,
  start: (settle: buildConnector.Callback) => void,
): Promise<Socket> {
  return await new Promise<Socket>((resolve, reject) => {
    const fail = (reason: unknown) => {
      signal.removeEventListener('abort', abort);
      tcp.destroy();
      reject(reason);
    };
    const abort = () => fail(signal.reason);
    // Kept for the lifetime of the socket: an error while it is idle must not end the process.
    tcp.on('error', (error) => fail(new DeliveryError(errorClass, sentenceOf(errorClass, error))));
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    start((error, ready) => {
      if (error !== null) {
        fail(new DeliveryError(errorClass, sentenceOf(errorClass, error)));
        return;
      }
      signal.removeEventListener('abort', abort);
      resolve(ready);
    });
  });
}

function sentenceOf(errorClass: 'connect' | 'tls', error: Error): string {
  // When several addresses were tried, Node reports an AggregateError of the individual ones.
  const cause = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  const code = 'code' in cause ? String(cause.code) : cause.message;
  return errorClass === 'connect'
    ? `The connection failed (${code}).`
    : `The TLS handshake failed (${code}): ${cause.message}.`;
}
