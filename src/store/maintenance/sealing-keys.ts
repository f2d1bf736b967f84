// Tracks which keys have sealed secrets in Redis. Each process that seals leaves a probe, a text sealed with its key. A
// process that cannot open every probe does not start: it would fail on individual secrets, and seal secrets that other
// processes cannot open. The probe of a key is removed when `secrets reseal` has finished.

import { loadOrg, webhookSecretContext } from '../identity/orgs.ts';
import type { Db } from '../redis/connection.ts';
import { partitionKeys } from '../redis/keys.ts';
import { partitionsWith } from '../redis/partition-counts.ts';
import { type Sealer, UnopenableError } from '../redis/sealing.ts';
import { nullIfUnreadable } from '../redis/unreadable.ts';

const PROBE_CONTEXT = 'sealing-key-probe';

/** Hash: a sealed probe by the id of the key that sealed it. */
function sealingKeysKey(prefix: string): string {
  return `${prefix}:sealing-keys`;
}

/**
 * Ids of keys that sealed secrets in this Redis and that the sealer does not have; empty when the sealer may be used.
 * Without any probe, the sealer must open one of a sample of signing secrets, one from each partition.
 */
export async function missingSealingKeys(db: Db, sealer: Sealer): Promise<string[]> {
  const probes = Object.entries(await db.redis.hgetall(sealingKeysKey(db.prefix)));
  if (probes.length > 0)
    return probes.filter(([, sealed]) => !opens(sealer, sealed, PROBE_CONTEXT)).map(([keyId]) => keyId);
  const samples = await sampleSecrets(db);
  if (samples.some(({ sealed, context }) => opens(sealer, sealed, context))) return [];
  return [...new Set(samples.map(({ sealed }) => sealed.split('.')[1] ?? ''))];
}

/** How many keys have sealed secrets that were not resealed since. */
export function countSealingKeys({ redis, prefix }: Pick<Db, 'redis' | 'prefix'>): Promise<number> {
  return redis.hlen(sealingKeysKey(prefix));
}

/** Stores a probe of the key that seals, unless there is one. */
export async function registerSealingKey(
  { redis, prefix }: Pick<Db, 'redis' | 'prefix'>,
  sealer: Sealer,
): Promise<void> {
  const [keyId = ''] = sealer.keyIds;
  const key = sealingKeysKey(prefix);
  if ((await redis.hexists(key, keyId)) === 1) return;
  await redis.hsetnx(key, keyId, sealer.seal('probe', PROBE_CONTEXT));
}

/** Removes the probe of a lost key. @returns whether there was one */
export async function forgetSealingKey(
  { redis, prefix }: Pick<Db, 'redis' | 'prefix'>,
  keyId: string,
): Promise<boolean> {
  return (await redis.hdel(sealingKeysKey(prefix), keyId)) === 1;
}

/** Removes the probes of the sealer's former keys, after everything was resealed with the current one. */
export async function retireSealingKeys(db: Db, sealer: Sealer): Promise<void> {
  await registerSealingKey(db, sealer);
  const former = sealer.keyIds.slice(1);
  if (former.length > 0) await db.redis.hdel(sealingKeysKey(db.prefix), ...former);
}

async function sampleSecrets(db: Db): Promise<{ sealed: string; context: string }[]> {
  const inhabited = await partitionsWith(db, ({ orgs }) => [['SCARD', orgs]]);
  const orgs = await Promise.all(
    inhabited.map(async (partition) => {
      const orgId = await db.redis.srandmember(partitionKeys(db.prefix, partition).orgs);
      // A damaged record keeps no process from starting.
      return orgId === null ? null : nullIfUnreadable(db, () => loadOrg(db, orgId));
    }),
  );
  return orgs.flatMap((org) => {
    const sealed = org?.webhook_secrets[0]?.sealed;
    return org && sealed !== undefined ? [{ sealed, context: webhookSecretContext(org.org_id) }] : [];
  });
}

function opens(sealer: Sealer, sealed: string, context: string): boolean {
  try {
    sealer.open(sealed, context);
    return true;
  } catch (error) {
    if (error instanceof UnopenableError) return false;
    throw error;
  }
}
