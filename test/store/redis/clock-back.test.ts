// After Redis' clock goes back, claims, delays and leases from before block nothing for longer than usual.
import { expect, it } from 'vitest';
import { countAttempt } from '../../../src/store/identity/sign-in-attempts.ts';
import { claimKey } from '../../../src/store/redis/idempotency.ts';
import { orgKeysOf, PARTITIONS } from '../../../src/store/redis/keys.ts';
import { leaseDelivery } from '../../../src/store/webhooks/delivery-lease.ts';
import { pendingMember } from '../../../src/store/webhooks/delivery-target.ts';
import { addTask, freshOrg, openTestDb } from '../../support/db.ts';

const HOUR = 3600_000;
const db = await openTestDb();

it('shortens the claim of an idempotency key', async () => {
  const org = freshOrg(db);
  await claimKey(db, org, 'scope', 'print', 'first');
  const key = orgKeysOf(db.prefix, org).idempotency('scope');
  await db.redis.pexpire(key, 2 * HOUR);
  expect(await claimKey(db, org, 'scope', 'print', 'second')).toEqual({ kind: 'in_flight' });
  expect(await db.redis.pttl(key)).toBeLessThanOrEqual(3000);
});

it('shortens the delay of sign-ins', async () => {
  await countAttempt(db, 'somebody', 1);
  const [key] = (
    await Promise.all(PARTITIONS.map((one) => db.redis.keys(`${db.prefix}:{${one}}:sign-in-attempts:*`)))
  ).flat();
  await db.redis.pexpire(key ?? '', 2 * HOUR);
  expect(await countAttempt(db, 'somebody', 1)).toBeLessThanOrEqual(15 * 60_000);
});

it('ends the lease of a delivery', async () => {
  const org = freshOrg(db);
  const { task_id } = await addTask(db, org);
  const target = { org_id: org, task_id, sequence: 1 };
  const { pendingDeliveries: key } = orgKeysOf(db.prefix, org);
  const lease = Math.floor(db.clock.now()) + 2 * HOUR + 0.5;
  await db.redis.zadd(key, lease, pendingMember(target));
  expect(await leaseDelivery(db, target, 20_000)).toMatchObject({ delivery: { status: 'pending' } });
  // A lease that may belong to another process, and a delivery that is not due, stay as they are.
  expect(await leaseDelivery(db, target, 20_000)).toMatchObject({ dueAt: expect.any(Number) });
  await db.redis.zadd(key, Math.floor(db.clock.now()) + 2 * HOUR, pendingMember(target));
  expect(await leaseDelivery(db, target, 20_000)).toMatchObject({ dueAt: expect.any(Number) });
});
