// Suspension of an org by the operator. Besides the org's record, a key of its own marks it, so that commits and the
// scripts of matching can check it cheaply.

import type { Guard, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { sharedKeysOf } from '../redis/keys.ts';
import type { Org } from './orgs.ts';

/** A guard that holds while the tenant's org is not suspended. */
export function notSuspended(db: Db, tenantId: string): Guard {
  return { kind: 'absent', key: sharedKeysOf(db.prefix, tenantId).suspended };
}

/** Whether the tenant's org is suspended. */
export async function isSuspended(db: Db, tenantId: string): Promise<boolean> {
  return (await db.redis.exists(sharedKeysOf(db.prefix, tenantId).suspended)) === 1;
}

/** The write that marks the org as suspended, or not, as its record says. */
export function suspensionWrite(db: Db, org: Org): Write {
  const { suspended } = sharedKeysOf(db.prefix, org.org_id);
  return org.suspension === undefined ? ['DEL', suspended] : ['SET', suspended, 1];
}
