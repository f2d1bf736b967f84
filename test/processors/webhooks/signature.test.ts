// Signatures of Standard Webhooks: the published test vector, and what the reference package accepts.
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { signatureHeaders } from '../../../src/processors/webhooks/signature.ts';
import { newWebhookSecret } from '../../../src/store/identity/orgs.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const VECTOR = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestampSeconds: 1614265330,
  body: '{"test": 2432232314}',
};

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

describe('signatureHeaders', () => {
  it('reproduces the published test vector', () => {
    expect(signatureHeaders({ ...VECTOR, secrets: [SECRET] })).toEqual({
      'webhook-id': VECTOR.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('signs the same bytes given as text or as a buffer', () => {
    const body = '{"name":"Zoë 🦊"}';
    const signable = { id: 'evt_1', timestampSeconds: nowSeconds(), secrets: [SECRET] };
    const headers = signatureHeaders({ ...signable, body });
    expect(signatureHeaders({ ...signable, body: Buffer.from(body) })).toEqual(headers);
    expect(new Webhook(SECRET).verify(body, { ...headers })).toEqual({ name: 'Zoë 🦊' });
  });

  it('verifies with either secret during a rotation and with no other', () => {
    const [current, former] = [newWebhookSecret(), newWebhookSecret()];
    const body = '{"a":1}';
    const headers = {
      ...signatureHeaders({ id: 'evt_2', timestampSeconds: nowSeconds(), body, secrets: [current, former] }),
    };
    expect(headers['webhook-signature'].split(' ')).toHaveLength(2);
    expect(new Webhook(current).verify(body, headers)).toEqual({ a: 1 });
    expect(new Webhook(former).verify(body, headers)).toEqual({ a: 1 });
    expect(() => new Webhook(newWebhookSecret()).verify(body, headers)).toThrow('No matching signature');
    expect(() => new Webhook(current).verify('{"a":2}', headers)).toThrow('No matching signature');
  });

  it('covers the id and the timestamp', () => {
    const sign = (id: string, timestampSeconds: number) =>
      signatureHeaders({ id, timestampSeconds, body: '{}', secrets: [SECRET] })['webhook-signature'];
    expect(new Set([sign('a', 1), sign('b', 1), sign('a', 2)]).size).toBe(3);
  });

  it('signs correctly when more secrets are in use than are cached', () => {
    const secrets = Array.from({ length: 1500 }, newWebhookSecret);
    const timestampSeconds = nowSeconds();
    for (const secret of [...secrets, ...secrets.slice(0, 20)]) {
      const headers = signatureHeaders({ id: 'evt_3', timestampSeconds, body: '{}', secrets: [secret] });
      expect(headers['webhook-signature']).toBe(
        new Webhook(secret).sign('evt_3', new Date(timestampSeconds * 1000), '{}'),
      );
    }
  });

  it.each([
    'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    'whsec_',
    'whsec_c2hvcnQ=',
    `whsec_${Buffer.alloc(25).toString('base64').replace(/=+$/, '')}`,
    `whsec_${Buffer.alloc(25).toString('base64')}==`,
    `whsec_${Buffer.alloc(24, 0xff).toString('base64url')}`,
    'whsec_not base64 at all, not at all, not at all!',
    `whsec_${Buffer.alloc(65).toString('base64')}`,
    `whsec_${Buffer.alloc(23).toString('base64')}`,
  ])('refuses the secret %j without repeating it', (secret) => {
    const sign = () => signatureHeaders({ ...VECTOR, secrets: [SECRET, secret] });
    expect(sign).toThrow(TypeError);
    expect(sign).toThrow(/^a webhook secret must (be whsec_ and|hold 24 to 64 bytes)/);
    if (secret !== 'whsec_') expect(sign).not.toThrow(secret);
  });

  it('throws without a secret or with a time that is not a whole second', () => {
    expect(() => signatureHeaders({ ...VECTOR, secrets: [] })).toThrow(TypeError);
    expect(() => signatureHeaders({ ...VECTOR, timestampSeconds: 1.5, secrets: [SECRET] })).toThrow(
      RangeError,
    );
  });
});

describe('newWebhookSecret', () => {
  it('returns 32 new random bytes each time', () => {
    const secrets = Array.from({ length: 100 }, newWebhookSecret);
    for (const secret of secrets) {
      expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      expect(Buffer.from(secret.slice('whsec_'.length), 'base64')).toHaveLength(32);
    }
    expect(new Set(secrets).size).toBe(100);
  });
});
