// Parses networks (CIDRs) and addresses, and tells whether an address is in a network. Pure. An IPv4-mapped IPv6
// address (RFC 4291, section 2.5.5.2) is always treated as the IPv4 address in it, so that one host is never judged in
// two ways.

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
/** First address and length of the prefix in bits. */
export type Network = readonly [Address, number];

/** The network of a CIDR or a single address, with host bits cleared; null for any other text. */
export function parseNetwork(text: string): Network | null {
  const [, host = '', length] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (isIP(host) === 0) return null;
  const address = parsed(host);
  const width = address.kind() === 'ipv4' ? 32 : 128;
  const bits = Number(length ?? width);
  if (bits > width) return null;
  if (!(address instanceof ipaddr.IPv6))
    return [ipaddr.IPv4.networkAddressFromCIDR(`${address}/${bits}`), bits];
  if (!address.isIPv4MappedAddress() || bits < 96)
    return [ipaddr.IPv6.networkAddressFromCIDR(`${address}/${bits}`), bits];
  return parseNetwork(`${address.toIPv4Address()}/${bits - 96}`);
}

/** A network as text: `10.0.0.0/8`, `2001:db8::/32`. */
export function cidrOf([address, bits]: Network): string {
  return `${address}/${bits}`;
}

/** A plain address, without port, brackets or zone; null for any other text. */
export function parseAddress(text: string): Address | null {
  if (isIP(text) === 0 || text.includes('%')) return null;
  const address = parsed(text);
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/**
 * Parses an address. ipaddr.js mistakes some addresses with an IPv4 part, such as `::8.8.8.8`, for IPv4-mapped ones; the
 * WHATWG parser reads them as RFC 4291, section 2.2, defines.
 */
function parsed(host: string): Address {
  if (!host.includes(':') || !host.includes('.')) return ipaddr.parse(host);
  return ipaddr.parse(new URL(`http://[${host}]`).hostname.slice(1, -1));
}

/** Whether the address is in one of the networks. */
export function isWithin(address: Address, networks: readonly Network[]): boolean {
  return networks.some(([first, bits]) => first.kind() === address.kind() && address.match(first, bits));
}
