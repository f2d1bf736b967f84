// Client addresses, as a table: forms of X-Forwarded-For, and which proxies are trusted.
import { describe, expect, test } from 'vitest';
import { ClientAddresses, clientAddress } from '../../../src/api/access/client-address.ts';
import { parseNetwork } from '../../../src/state/access/networks.ts';

const TRUSTED = ['10.0.0.0/8', '127.0.0.1', 'fd00::/8', '2001:db8:ffff::/48'].map((cidr) => {
  const network = parseNetwork(cidr);
  if (network === null) throw new Error(cidr);
  return network;
});

const from = (peer: string | undefined, forwarded?: string) => clientAddress(peer, forwarded, TRUSTED);

describe('without a trusted proxy', () => {
  test.each([
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:CB00:7109', '203.0.113.9'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
  ])('the peer %s is %s, whatever its headers say', (peer, address) => {
    expect(from(peer)).toBe(address);
    for (const said of ['198.51.100.1', '10.0.0.1', '127.0.0.1, 10.0.0.1', 'garbage'])
      expect(from(peer, said)).toBe(address);
  });

  test('a closed socket has no address', () => {
    expect(from(undefined, '203.0.113.9')).toBeNull();
  });
});

describe('behind a trusted proxy', () => {
  test.each<[what: string, forwarded: string | undefined, address: string | null]>([
    ['no field: the proxy itself asks', undefined, '10.1.2.3'],
    ['an empty field', '', '10.1.2.3'],
    ['one address', '203.0.113.9', '203.0.113.9'],
    ['a spoofed one left of it', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
    ['a spoofed address of a proxy left of it', '198.51.100.1, 10.9.9.9, 203.0.113.9', '203.0.113.9'],
    ['a chain of proxies', '203.0.113.9, 10.0.0.7, fd00::7', '203.0.113.9'],
    ['a chain with a spoofed start', '1.1.1.1, 203.0.113.9, 10.0.0.7', '203.0.113.9'],
    ['proxies alone: the farthest', '10.0.0.9, 10.0.0.7', '10.0.0.9'],
    ['no spaces', '1.1.1.1,203.0.113.9,10.0.0.7', '203.0.113.9'],
    ['tabs and many spaces', '1.1.1.1 ,\t 203.0.113.9 \t', '203.0.113.9'],
    ['empty elements', ', ,203.0.113.9,, ,', '203.0.113.9'],
    ['mapped', '::ffff:203.0.113.9', '203.0.113.9'],
    ['mapped in hexadecimal', '::ffff:cb00:7109', '203.0.113.9'],
    ['mapped, of a proxy', '203.0.113.9, ::ffff:10.0.0.7', '203.0.113.9'],
    ['mapped, in brackets with a port', '[::ffff:203.0.113.9]:80', '203.0.113.9'],
    ['with a port', '203.0.113.9:51234', '203.0.113.9'],
    ['v6', '2001:db8::1', '2001:db8::1'],
    ['v6 in capitals, not shortened', '2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['v6 in brackets', '[2001:db8::1]', '2001:db8::1'],
    ['v6 in brackets with a port', '[2001:db8::1]:443', '2001:db8::1'],
    ['with a zone', 'fe80::1%eth0', 'fe80::1'],
    ['with a zone as URLs write it (RFC 6874)', '[fe80::1%25eth0]:80', 'fe80::1'],
    ['in brackets with a plain zone', '[fe80::1%en0]:80', 'fe80::1'],
    ['garbage', 'unknown', null],
    ['an obfuscated name (RFC 7239)', '_hidden', null],
    ['garbage left of the client', 'unknown, 203.0.113.9', '203.0.113.9'],
    ['garbage between proxies', '203.0.113.9, unknown, 10.0.0.7', null],
    ['a host name', 'client.example', null],
    ['too many octets', '203.0.113.9.1', null],
    ['an octet out of range', '203.0.113.256', null],
    ['octal', '0313.0.0161.011', null],
    ['one number', '3405803785', null],
    ['hexadecimal', '0xcb.0x0.0x71.0x9', null],
    ['short', '203.9', null],
    ['a network', '203.0.113.0/24', null],
    ['brackets about v4', '[203.0.113.9]', '203.0.113.9'],
    ['an open bracket', '[2001:db8::1', null],
    ['an empty port', '203.0.113.9:', null],
    ['a port that is none', '203.0.113.9:http', null],
    ['quoted', '"203.0.113.9"', null],
    ['NUL behind it', '203.0.113.9\u0000', null],
    ['digits of another script', '２０３.0.113.9', null],
    ['two addresses in one element', '203.0.113.9 10.0.0.7', null],
  ])('%s', (_what, forwarded, address) => {
    expect(from('10.1.2.3', forwarded)).toBe(address);
    expect(from('::ffff:10.1.2.3', forwarded)).toBe(address);
  });
});

describe('the headers of a request', () => {
  type Request = Parameters<ClientAddresses['of']>[0];
  const addresses = new ClientAddresses(['10.0.0.0/8']);
  const request = (remoteAddress: string, headers: Record<string, string | string[]>) =>
    ({ socket: { remoteAddress }, headers }) as unknown as Request;

  test('repeated fields are one list in order', () => {
    const fields = { 'x-forwarded-for': ['198.51.100.1', '203.0.113.9, 10.0.0.1'] };
    expect(addresses.of(request('10.1.2.3', fields))).toBe('203.0.113.9');
  });

  test('TLS is the last value that a trusted proxy sent', () => {
    const isSecure = (peer: string, said: string) =>
      addresses.isSecure(request(peer, { 'x-forwarded-proto': said }));
    expect(isSecure('10.1.2.3', 'https')).toBe(true);
    expect(isSecure('10.1.2.3', 'http, HTTPS')).toBe(true);
    expect(isSecure('10.1.2.3', 'https, http')).toBe(false);
    expect(isSecure('203.0.113.9', 'https')).toBe(false);
  });
});
