// Which URLs and addresses a webhook may be sent to: the pure half of the address guard. It parses a URL once, by
// WHATWG rules, and judges addresses; it resolves no names and opens no connections. The API uses it to refuse a task
// early, `egress/address-guard.ts` to decide again when a delivery connects.
// Networks come from the IANA special-purpose registries (RFC 6890 and its updates); an address that is not known to be
// public unicast is refused.

import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { isWithin, type Network, parseAddress, parseNetwork } from '../access/networks.ts';

/** The networks that the operator allows in addition to the public internet. Immutable. */
export interface AddressPolicy {
  readonly listed: readonly Network[];
}

/** `public`: a public address. `listed`: allowed only because the operator lists it. */
export type AddressClass = 'public' | 'listed' | 'refused';

export interface Target {
  readonly ok: true;
  readonly url: URL;
  /** Host as it is resolved and verified: lower case, A-labels, IPv6 without brackets. */
  readonly host: string;
  /** The address when the host is one; such a host never reaches a resolver. */
  readonly literal: string | null;
  /** True for http URLs, single-label names and localhost: they may go only to allowlisted addresses. */
  readonly requiresAllowlist: boolean;
}

export interface RefusedTarget {
  readonly ok: false;
  readonly errorClass: 'bad_url' | 'address_refused';
  /** A sentence for the person who gave the URL. */
  readonly reason: string;
}

const MAX_URL_LENGTH = 2048;
const MAX_HOST_LENGTH = 253;

/** Addresses that `ipaddr.js` calls unicast but that must not be reachable. */
const BLOCKED_IPV4: readonly Network[] = [
  [ipaddr.IPv4.parse('168.63.129.16'), 32], // Azure's host agent
];

const GLOBAL_IPV6: Network = [ipaddr.IPv6.parse('2000::'), 3]; // RFC 4291, section 2.4
const BLOCKED_IPV6: readonly Network[] = [
  [ipaddr.IPv6.parse('2001::'), 23], // IETF protocols: Teredo, ORCHID, benchmarking, AMT (RFC 2928)
  [ipaddr.IPv6.parse('2001:db8::'), 32], // documentation (RFC 3849)
  [ipaddr.IPv6.parse('2002::'), 16], // 6to4: carries any IPv4 address (RFC 3056)
  [ipaddr.IPv6.parse('2620:4f:8000::'), 48], // AS112 (RFC 7534)
  [ipaddr.IPv6.parse('3ffe::'), 16], // the former 6bone (RFC 3701)
  [ipaddr.IPv6.parse('3fff::'), 20], // documentation (RFC 9637)
];
const NAT64: Network = [ipaddr.IPv6.parse('64:ff9b::'), 96]; // RFC 6052

/**
 * The policy for a list of CIDRs or single addresses.
 * @throws RangeError naming an entry that is neither.
 */
export function createAddressPolicy(allowedCidrs: readonly string[]): AddressPolicy {
  return Object.freeze({ listed: Object.freeze(allowedCidrs.map((cidr) => networkOf(cidr.trim()))) });
}

function networkOf(text: string): Network {
  const network = parseNetwork(text);
  if (network === null)
    throw new RangeError(`"${text}" is not a network: write it like 10.0.0.0/8 or fd00::/8`);
  return network;
}

function isPublicIPv4(address: ipaddr.IPv4): boolean {
  return address.range() === 'unicast' && !isWithin(address, BLOCKED_IPV4);
}

/**
 * Judges an address. IPv4-mapped IPv6 is judged as the IPv4 address that the kernel would connect to.
 * NAT64 (RFC 6052) is public when the IPv4 address in it is. Every other form that carries an IPv4
 * address (compatible, 6to4, Teredo, SIIT, ISATAP, local NAT64) is refused, whatever it carries, unless the
 * operator lists the IPv6 form itself. Anything that is not a plain address, zones included, is refused.
 */
export function addressClass(ip: string, policy: AddressPolicy): AddressClass {
  const address = parseAddress(ip);
  if (address === null) return 'refused';
  if (isWithin(address, policy.listed)) return 'listed';
  if (address instanceof ipaddr.IPv4) return isPublicIPv4(address) ? 'public' : 'refused';
  if (address.match(...NAT64)) {
    return isPublicIPv4(new ipaddr.IPv4(address.toByteArray().slice(12))) ? 'public' : 'refused';
  }
  const open =
    address.match(...GLOBAL_IPV6) &&
    address.range() === 'unicast' &&
    !isWithin(address, BLOCKED_IPV6) &&
    !isIsatap(address);
  return open ? 'public' : 'refused';
}

/** Whether the lower half holds an IPv4 address in ISATAP form (RFC 5214, section 6.1). */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return (parts[4] === 0 || parts[4] === 0x200) && parts[5] === 0x5efe;
}

/** Whether a delivery may go to this address: public unicast, or listed by the operator. */
export function isAllowedAddress(ip: string, policy: AddressPolicy): boolean {
  return addressClass(ip, policy) !== 'refused';
}

function refuse(errorClass: RefusedTarget['errorClass'], reason: string): RefusedTarget {
  return { ok: false, errorClass, reason };
}

/** `localhost` and its subdomains are the loopback by definition (RFC 6761, section 6.3). */
function isLocalhost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost');
}

function isLoopbackListed(policy: AddressPolicy): boolean {
  return ['127.0.0.1', '::1'].some((ip) => addressClass(ip, policy) === 'listed');
}

/**
 * Parses a URL once and decides whether a delivery may be tried. For a host name this is only half
 * of the decision: its addresses are judged on connecting, by `resolveTarget`.
 *
 * The text must be what it looks like: `http:127.0.0.1`, back-slashes and white space, which WHATWG
 * would repair, are refused. So are user information, port 0 and a host name that ends in a dot.
 */
export function parseTarget(text: string, policy: AddressPolicy): Target | RefusedTarget {
  if (text.length > MAX_URL_LENGTH) {
    return refuse('bad_url', `The URL is longer than ${MAX_URL_LENGTH} characters.`);
  }
  const isVerbatim = /^https?:\/\/[^/]/i.test(text) && !/[\s\\\p{Cc}]/u.test(text);
  const url = isVerbatim ? parseUrl(text) : null;
  if (url === null) return refuse('bad_url', 'The URL is not a well-formed https:// address.');
  if (/^[^/]*\/\/[^/?#]*@/.test(text)) {
    return refuse('bad_url', 'The URL carries a user name or password; use callback_auth instead.');
  }
  if (url.port === '0') return refuse('bad_url', 'The URL names port 0.');

  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  const isPlain = url.protocol === 'http:';
  return isIP(host) === 0
    ? nameTarget(url, host, isPlain, policy)
    : literalTarget(url, host, isPlain, policy);
}

function parseUrl(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

const HTTPS_ONLY =
  'The URL must use https; http is accepted only for an address that WEBHOOK_ALLOWED_NETWORKS lists.';

function literalTarget(
  url: URL,
  host: string,
  isPlain: boolean,
  policy: AddressPolicy,
): Target | RefusedTarget {
  const found = addressClass(host, policy);
  if (found === 'refused') {
    const shown = isIPv4(host) ? host : `[${host}]`;
    return refuse('address_refused', `The URL points at ${shown}, which is not a public address.`);
  }
  if (isPlain && found !== 'listed') return refuse('bad_url', HTTPS_ONLY);
  return { ok: true, url, host, literal: host, requiresAllowlist: isPlain };
}

function nameTarget(url: URL, host: string, isPlain: boolean, policy: AddressPolicy): Target | RefusedTarget {
  if (host.endsWith('.')) return refuse('bad_url', 'The host name of the URL ends in a dot.');
  if (host.length > MAX_HOST_LENGTH || host.split('.').some((label) => label === '' || label.length > 63)) {
    return refuse('bad_url', 'The host name of the URL is not a valid one.');
  }
  const isBare = !host.includes('.');
  const requiresAllowlist = isPlain || isBare || isLocalhost(host);
  if (isLocalhost(host) ? !isLoopbackListed(policy) : isBare && policy.listed.length === 0) {
    return refuse('address_refused', `The URL points at "${host}", which is not a public host name.`);
  }
  if (isPlain && policy.listed.length === 0) return refuse('bad_url', HTTPS_ONLY);
  return { ok: true, url, host, literal: null, requiresAllowlist };
}

/**
 * The fault of a callback URL as a sentence, or null. Cheap and without a look-up, for use when a task or endpoint is
 * created: a host name passes here and is judged again on each connection.
 */
export function checkCallbackUrl(url: string, policy: AddressPolicy): string | null {
  const target = parseTarget(url, policy);
  return target.ok ? null : target.reason;
}
