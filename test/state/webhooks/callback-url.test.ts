// Which URLs and addresses a delivery may go to. Only the decision: nothing is resolved or connected.
import { describe, expect, it } from 'vitest';
import {
  addressClass,
  checkCallbackUrl,
  createAddressPolicy,
  isAllowedAddress,
  parseTarget,
} from '../../../src/state/webhooks/callback-url.ts';
import { INTERNAL_HOST_SPELLINGS, REFUSED_ADDRESSES } from '../../support/address-corpus.ts';

const PUBLIC = createAddressPolicy([]);
const LOOPBACK = createAddressPolicy(['127.0.0.0/8', '::1']);

describe('parseTarget', () => {
  it.each(INTERNAL_HOST_SPELLINGS)('refuses %s over https and http', (host) => {
    expect(parseTarget(`https://${host}/hook`, PUBLIC).ok).toBe(false);
    expect(parseTarget(`http://${host}:8080/hook`, PUBLIC).ok).toBe(false);
  });

  it.each([
    'http:127.0.0.1',
    'https:example.com/hook',
    'https:/example.com/hook',
    'https:///example.com/hook',
    'https:\\\\example.com\\hook',
    ' https://example.com/',
    'https://example.com/a b',
    'https://exa\tmple.com/',
    'https://example.com/\n',
    'https://example.com:0/',
    'https://example.com:65536/',
    'https://example..com/',
    'https://.example.com/',
    `https://${'a'.repeat(64)}.com/`,
    `https://${'a.'.repeat(127)}com/`,
    `https://example.com/${'a'.repeat(2048)}`,
    'https://user:secret@example.com/',
    'ftp://example.com/',
    'file:///etc/passwd',
    'gopher://127.0.0.1:6379/_INFO',
    'javascript:alert(1)',
    '//example.com/',
    'example.com',
    '',
  ])('refuses %j as no good URL', (url) => {
    expect(parseTarget(url, LOOPBACK)).toMatchObject({ ok: false, errorClass: 'bad_url' });
  });

  it.each([
    ['https://example.com/hook?a=1', 'example.com', null],
    ['HTTPS://EXAMPLE.COM:8443/', 'example.com', null],
    ['https://bücher.example/', 'xn--bcher-kva.example', null],
    ['https://example.com/@path?q=user@host#f', 'example.com', null],
    ['https://8.8.8.8/', '8.8.8.8', '8.8.8.8'],
    ['https://[2606:4700::1111]/', '2606:4700::1111', '2606:4700::1111'],
    ['https://[64:ff9b::808:808]/', '64:ff9b::808:808', '64:ff9b::808:808'],
  ])('takes %s', (url, host, literal) => {
    expect(parseTarget(url, PUBLIC)).toMatchObject({ ok: true, host, literal, requiresAllowlist: false });
  });

  it('accepts http only for listed networks', () => {
    expect(parseTarget('http://example.com/', PUBLIC)).toMatchObject({ ok: false, errorClass: 'bad_url' });
    expect(parseTarget('http://8.8.8.8/', LOOPBACK)).toMatchObject({ ok: false, errorClass: 'bad_url' });
    expect(parseTarget('http://127.0.0.1:1/', LOOPBACK)).toMatchObject({ ok: true, literal: '127.0.0.1' });
    expect(parseTarget('http://[::ffff:127.0.0.1]/', LOOPBACK)).toMatchObject({ ok: true });
    // The name is resolved when the connection is made; all its addresses must be listed then.
    expect(parseTarget('http://hooks.corp.example/', LOOPBACK)).toMatchObject({
      ok: true,
      requiresAllowlist: true,
    });
  });

  it('accepts single-label names only with listed networks, and localhost only with a listed loopback', () => {
    const office = createAddressPolicy(['10.0.0.0/8']);
    expect(parseTarget('https://receiver/', PUBLIC).ok).toBe(false);
    expect(parseTarget('https://receiver/', office)).toMatchObject({ ok: true, requiresAllowlist: true });
    expect(parseTarget('https://localhost/', office).ok).toBe(false);
    expect(parseTarget('https://api.localhost/', office).ok).toBe(false);
    expect(parseTarget('http://localhost:3000/', LOOPBACK)).toMatchObject({
      ok: true,
      requiresAllowlist: true,
    });
  });
});

describe('addressStanding', () => {
  it.each(REFUSED_ADDRESSES)('refuses %s', (ip) => {
    expect(addressClass(ip, PUBLIC)).toBe('refused');
    expect(isAllowedAddress(ip, PUBLIC)).toBe(false);
  });

  it.each([
    '',
    'example.com',
    '127.1',
    '0x7f000001',
    '1.2.3.4/8',
    '8.8.8.8%1',
    '2606:4700::1111%eth0',
    '[::1]',
    ' 8.8.8.8',
  ])('refuses %j, which is no address', (ip) => {
    expect(isAllowedAddress(ip, createAddressPolicy(['0.0.0.0/0', '::/0']))).toBe(false);
  });

  it.each([
    '8.8.8.8',
    '1.1.1.1',
    '168.63.129.17',
    '172.32.0.1',
    '2606:4700::1111',
    '2a00::1',
    '::ffff:8.8.8.8',
  ])('lets %s be public', (ip) => {
    expect(addressClass(ip, PUBLIC)).toBe('public');
  });

  it.each([
    '::8.8.8.8',
    '::808:808',
    '0:0:0:0:0:0:8.8.8.8',
    '::ffff:0:8.8.8.8',
    '64:ff9b:1::8.8.8.8',
    '2002:808:808::8.8.8.8',
    '2001::8.8.8.8',
    '2a00::5efe:8.8.8.8',
    '2a00::200:5efe:808:808',
    '64:ff9b::127.0.0.1',
    '::ffff:127.0.0.1',
    '0:0:0:0:0:ffff:10.0.0.1',
  ])('refuses %s, which carries an IPv4 address', (ip) => {
    expect(addressClass(ip, PUBLIC)).toBe('refused');
    // Of these forms, a listed IPv4 network covers mapped addresses only.
    const listed = addressClass(ip, createAddressPolicy(['0.0.0.0/0']));
    expect(listed).toBe(ip.includes('ffff:1') ? 'listed' : 'refused');
  });

  it.each([
    ['::8.8.8.8', '::808:808', 'listed'],
    ['::8.8.8.8', '8.8.8.8', 'public'],
    ['8.8.8.8', '::8.8.8.8', 'refused'],
    ['::8.8.8.8/128', '::8.8.8.8', 'listed'],
    ['2a00::5efe:8.8.8.8', '2a00::5efe:808:808', 'listed'],
  ])('with %s listed, %s is %s', (cidr, ip, standing) => {
    expect(addressClass(ip, createAddressPolicy([cidr]))).toBe(standing);
  });

  it('lists exactly the addresses of a network, in plain and mapped form', () => {
    const policy = createAddressPolicy([
      '10.1.0.0/16',
      'fd00:1::/32',
      '169.254.169.254',
      '::ffff:192.168.0.0/112',
    ]);
    const classOf = (ip: string) => addressClass(ip, policy);
    expect(
      ['10.1.2.3', '::ffff:10.1.2.3', 'fd00:1::9', '169.254.169.254', '192.168.9.9'].map(classOf),
    ).toEqual(Array(5).fill('listed'));
    expect(['10.2.0.1', 'fd00:2::9', '169.254.169.253', '192.169.0.1'].map(classOf)).toEqual([
      'refused',
      'refused',
      'refused',
      'public',
    ]);
  });

  it('does not treat an IPv6 address that embeds a listed IPv4 address as listed', () => {
    for (const ip of [
      '::7f00:1',
      '64:ff9b::7f00:1',
      '64:ff9b:1::7f00:1',
      '2002:7f00:1::',
      '::ffff:0:7f00:1',
    ]) {
      expect(addressClass(ip, LOOPBACK)).toBe('refused');
    }
  });
});

describe('createAddressPolicy', () => {
  it.each([
    '10.0.0.0/33',
    'fd00::/129',
    '10.0.0/8',
    'ten/8',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'fe80::1%lo/64',
    '',
  ])('names %j as the entry that is no network', (entry) => {
    expect(() => createAddressPolicy(['127.0.0.0/8', entry])).toThrow(`"${entry}" is not a network`);
  });
});

describe('checkCallbackUrl', () => {
  it('returns nothing for a valid URL, and one sentence for an invalid one', () => {
    expect(checkCallbackUrl('https://example.com/hook', PUBLIC)).toBeNull();
    expect(checkCallbackUrl('http://127.0.0.1:9/hook', LOOPBACK)).toBeNull();
    expect(checkCallbackUrl('https://example.com./hook', PUBLIC)).toMatch(/ends in a dot/);
    expect(checkCallbackUrl('http://example.com/hook', PUBLIC)).toMatch(/must use https/);
    expect(checkCallbackUrl('https://[::ffff:7f00:1]/', PUBLIC)).toMatch(/not a public address/);
    expect(checkCallbackUrl('https://u:p@example.com/', PUBLIC)).toMatch(/callback_auth/);
    expect(checkCallbackUrl('https://u:p@example.com/', PUBLIC)).not.toMatch(/u:p/);
  });
});
