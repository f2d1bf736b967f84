// Fetches the public keys of an external issuer from the URL that an org registered. The URL is untrusted, so connections are
// made as for webhooks: address checked and pinned, no redirects, limited time and size.

import { createLocalJWKSet } from 'jose';
import { Client, type Dispatcher } from 'undici';
import { systemResolver } from '../../egress/address-guard.ts';
import { type ConnectOptions, createConnect } from '../../egress/connect.ts';
import { type AddressPolicy, parseTarget } from '../../state/webhooks/callback-url.ts';

const TIME_LIMIT_MS = 1500;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 100;

/** Finds the key of a token among the keys of an issuer. */
export type KeySet = ReturnType<typeof createLocalJWKSet>;

/** The keys at a URL. @throws Error when they cannot be fetched or are not a set of keys (RFC 7517) */
export type FetchKeySet = (uri: string) => Promise<KeySet>;

/** Creates the function that fetches keys. @param policy of the addresses to which it may connect */
export function keySetFetcher(policy: AddressPolicy, options: Partial<ConnectOptions> = {}): FetchKeySet {
  const connect = createConnect({ policy, resolver: systemResolver(policy), ...options });
  return async (uri) => {
    const target = parseTarget(uri, policy);
    if (!target.ok) throw new Error(target.reason);
    const signal = AbortSignal.timeout(TIME_LIMIT_MS);
    const trace = { stage: '', queueMs: null, dnsMs: null, connectMs: null, tlsMs: null, reused: false };
    const { socket } = await connect(target, trace, signal);
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
      return createLocalJWKSet({ keys });
    } finally {
      await client.destroy();
    }
  };
}
