// Where a request comes from: the socket's peer; or, when that is a proxy of ours, what the proxies say in
// X-Forwarded-For. Each proxy appends whom it heard from, so the list is read from the right, past the proxies
// we trust, to the first address that is not one: what stands left of it, the client may have written itself.

import type { IncomingMessage } from 'node:http';
import {
  type Address,
  isWithin,
  type Network,
  parseAddress,
  parseNetwork,
} from '../../state/access/networks.ts';

/**
 * The client's address: IPv4 dotted, IPv6 in its short form (RFC 5952); null when it cannot be told, as when
 * a trusted proxy names something that is no address.
 * @param peer the address at the other end of the socket.
 * @param forwarded the X-Forwarded-For fields, joined by commas in their order.
 * @param trusted whose word is taken.
 */
export function clientAddress(
  peer: string | undefined,
  forwarded: string | undefined,
  trusted: readonly Network[],
): string | null {
  let address = peer === undefined ? null : readAddress(peer);
  // Empty elements of a list say nothing (RFC 9110, section 5.6.1.2).
  const named = (forwarded ?? '').split(',').flatMap((one) => one.trim() || []);
  while (address !== null && named.length > 0 && isWithin(address, trusted))
    address = readAddress(named.pop() ?? '');
  return address === null ? null : address.toString();
}

/** An address in any form that proxies write: `a`, `a:port`, `[a]`, `[a]:port`, with a zone (RFC 4007, section 11). */
function readAddress(text: string): Address | null {
  const [, bracketed, v4] = /^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?$/.exec(text) ?? [];
  const plain = (bracketed ?? v4 ?? text).replace(/^([0-9a-f:.]+)%[\w.-]+$/i, '$1');
  return parseAddress(plain);
}

/** What counts as one address: of IPv6 the /64 that one host has for itself; `unknown` where it cannot be told. */
export function addressGroup(text: string | null): string {
  const address = text === null ? null : readAddress(text);
  if (address === null) return 'unknown';
  return address.kind() === 'ipv4' ? address.toString() : address.toByteArray().slice(0, 8).join('.');
}

/** Tells of each request where it comes from, by the proxies that are trusted. */
export class ClientAddresses {
  readonly #trusted: readonly Network[];

  /** @param trusted CIDRs. @throws RangeError naming the one that is none. */
  constructor(trusted: readonly string[]) {
    this.#trusted = trusted.map((cidr) => {
      const network = parseNetwork(cidr);
      if (network === null) throw new RangeError(`"${cidr}" is not a network`);
      return network;
    });
  }

  /** The client's address, see `clientAddress`. */
  of(request: IncomingMessage): string | null {
    // Node joins repeated fields by commas, in their order.
    const forwarded = request.headers['x-forwarded-for'];
    return clientAddress(request.socket.remoteAddress, [forwarded].flat().join(), this.#trusted);
  }

  /** Whether the peer of a connection is a trusted proxy. */
  isTrusted(remoteAddress: string | undefined): boolean {
    if (this.#trusted.length === 0) return false;
    const peer = readAddress(remoteAddress ?? '');
    return peer !== null && isWithin(peer, this.#trusted);
  }

  /** Whether a trusted proxy says that the client spoke TLS. */
  isSecure(request: IncomingMessage): boolean {
    if (!this.isTrusted(request.socket.remoteAddress)) return false;
    const said = [request.headers['x-forwarded-proto']].flat().join();
    return said.split(',').at(-1)?.trim().toLowerCase() === 'https';
  }
}
