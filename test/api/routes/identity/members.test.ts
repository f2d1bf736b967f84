// Contention on a member's address: only an address that another member is seen to have is told as taken.
import { afterEach, expect, test, vi } from 'vitest';
import { emailHash } from '../../../../src/store/identity/members.ts';
import { orgKeysOf } from '../../../../src/store/redis/keys.ts';
import { freshName, startApiOfFile } from '../../../support/api.ts';

const { api, org } = await startApiOfFile();
afterEach(() => vi.restoreAllMocks());

const memberOf = (email: string) => ({ email, name: 'x', scopes: ['tasks:read'] });

/** Each time the API looks the address up it is free, and by its commit another request has taken it. @returns the look-ups */
function contend(email: string): { lookUps: number } {
  // No pauses between the attempts.
  vi.spyOn(Math, 'random').mockReturnValue(0);
  const key = orgKeysOf(api.prefix, org.org_id).memberEmail(emailHash(email));
  const seen = { lookUps: 0 };
  const { redis } = api.web.db;
  const get = redis.get.bind(redis);
  vi.spyOn(redis, 'get').mockImplementation(async (name) => {
    if (name !== key) return get(name);
    seen.lookUps += 1;
    await api.redis.del(key);
    const found = await get(name);
    await api.redis.set(key, 'another');
    return found;
  });
  return seen;
}

test.each(['POST', 'PATCH'])(
  '%s answers 503 when an address is taken and freed at each attempt',
  async (method) => {
    const email = `${freshName('member')}@example.com`;
    const { member_id } = await org.client.post<{ member_id: string }>(
      '/v1/members',
      memberOf(`${freshName('member')}@example.com`),
    );
    const before = (await org.client.request('GET', '/v1/members')).text;
    const seen = contend(email);
    const answer =
      method === 'POST'
        ? await org.client.request('POST', '/v1/members', { body: memberOf(email) })
        : await org.client.request('PATCH', `/v1/members/${member_id}`, { body: { email } });
    expect(answer.outcome).toBe('503 unavailable');
    expect(answer.headers.get('retry-after')).toBe('2');
    expect(seen.lookUps).toBeGreaterThan(1);
    expect((await org.client.request('GET', '/v1/members')).text).toBe(before);
  },
);

test('an address that a member has is told as taken', async () => {
  const email = `${freshName('member')}@example.com`;
  await org.client.post('/v1/members', memberOf(email));
  const again = await org.client.request('POST', '/v1/members', { body: memberOf(email.toUpperCase()) });
  expect(again.outcome).toBe('409 already_exists');
});
