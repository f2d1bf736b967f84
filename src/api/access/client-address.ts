// The client's address: the peer of the socket or, behind trusted proxies, an address from X-Forwarded-For. Each proxy
// appends the address of its own client, so the list is read from the right to the first address that is not a trusted
// proxy. Entries further left are ignored, since the client can forge them.

import type { IncomingMessage } from 'node:http';
import {
  type Address,
  isWithin,
  type Network,
  parseAddress,
  parseNetwork,
} from '../../state/access/networks.ts';

/**
 * The client's address: dotted IPv4, or IPv6 in its short form (RFC 5952). Null if it is unknown, for instance when a
 * trusted proxy sent something that is not an address.
 * @param peer address of the socket's peer.
 * @param forwarded the X-Forwarded-For fields, joined by commas in their order.
 * @param trusted networks of trusted proxies.
 */
export function clientAddress(
  peer: string | undefined,
  forwarded: string | undefined,
  trusted: readonly Network[],
): string | null {
  let address = peer === undefined ? null : readAddress(peer);
  // Empty list elements are ignored (RFC 9110, section 5.6.1.2).
  const hops = (forwarded ?? '').split(',').flatMap((one) => one.trim() || []);
  while (address !== null && hops.length > 0 && isWithin(address, trusted))
    address = readAddress(hops.pop() ?? '');
  return address === null ? null : address.toString();
}

/** Parses an address in the forms that proxies write: `a`, `a:port`, `[a]`, `[a]:port`, with a zone (RFC 4007, section 11). */
function readAddress(text: string): Address | null {
  const [, bracketed, v4] = /^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?$/.exec(text) ?? [];
  const plain = (bracketed ?? v4 ?? text).replace(/^([0-9a-f:.]+)%[\w.-]+$/i, '$1');
  return parseAddress(plain);
}

/** The unit that address limits count: an IPv4 address, or the /64 of an IPv6 address, which one host can use alone. */
export function addressGroup(text: string | null): string {
  const address = text === null ? null : readAddress(text);
  if (address === null) return 'unknown';
  return address.kind() === 'ipv4' ? address.toString() : address.toByteArray().slice(0, 8).join('.');
}

/** Determines client addresses behind a given set of trusted proxies. */
export class ClientAddresses {
  readonly #trusted: readonly Network[];

  /** @param trusted CIDRs. @throws RangeError that names an invalid one */
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

  /** Whether a trusted proxy reports (X-Forwarded-Proto) that the client used TLS. */
  isSecure(request: IncomingMessage): boolean {
    if (!this.isTrusted(request.socket.remoteAddress)) return false;
    const protocols = [request.headers['x-forwarded-proto']].flat().join();
    return protocols.split(',').at(-1)?.trim().toLowerCase() === 'https';
  }
}
