// Which keys have sealed what Redis holds. Each process that seals leaves a probe, a text sealed with its key, and a
// process that cannot open every probe does not start: it would fail on secrets one by one, and seal what the others
// cannot open. A key is struck off when `secrets reseal` has come to its end.

import { loadOrg, webhookSecretContext } from '../identity/orgs.ts';
import type { Db } from '../redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../redis/keys.ts';
import { type Sealer, UnopenableError } from '../redis/sealing.ts';
import { readableOrNull } from '../redis/unreadable.ts';

const PLACE = 'sealing-key-probe';

/** Hash: a sealed probe by the id of the key that sealed it. */
function sealingKeysKey(prefix: string): string {
  return `${prefix}:sealing-keys`;
}

/**
 * Ids of the keys that sealed something here and that the sealer does not have; none when it may be used. Where no
 * probe was left yet, it is held against one signing secret of each partition, and must open one of them.
 */
export async function missingSealingKeys(db: Db, sealer: Sealer): Promise<string[]> {
  const probes = Object.entries(await db.redis.hgetall(sealingKeysKey(db.prefix)));
  if (probes.length > 0)
    return probes.filter(([, sealed]) => !opens(sealer, sealed, PLACE)).map(([keyId]) => keyId);
  const samples = await sampleSecrets(db);
  if (samples.some(({ sealed, place }) => opens(sealer, sealed, place))) return [];
  return [...new Set(samples.map(({ sealed }) => sealed.split('.')[1] ?? ''))];
}

/** Leaves a probe of the key that seals. Writes nothing when there is one. */
export async function registerSealingKey(
  { redis, prefix }: Pick<Db, 'redis' | 'prefix'>,
  sealer: Sealer,
): Promise<void> {
  const [keyId = ''] = sealer.keyIds;
  const key = sealingKeysKey(prefix);
  if ((await redis.hexists(key, keyId)) === 1) return;
  await redis.hsetnx(key, keyId, sealer.seal('probe', PLACE));
}

/** Strikes a key off that is lost for good. @returns whether it was there */
export async function forgetSealingKey(
  { redis, prefix }: Pick<Db, 'redis' | 'prefix'>,
  keyId: string,
): Promise<boolean> {
  return (await redis.hdel(sealingKeysKey(prefix), keyId)) === 1;
}

/** Strikes off the keys that the sealer has beside the one that seals: nothing kept for long is sealed with them. */
export async function retireSealingKeys(db: Db, sealer: Sealer): Promise<void> {
  await registerSealingKey(db, sealer);
  const former = sealer.keyIds.slice(1);
  if (former.length > 0) await db.redis.hdel(sealingKeysKey(db.prefix), ...former);
}

async function sampleSecrets(db: Db): Promise<{ sealed: string; place: string }[]> {
  const orgs = await Promise.all(
    PARTITIONS.map(async (partition) => {
      const orgId = await db.redis.srandmember(partitionKeys(db.prefix, partition).orgs);
      // A damaged record keeps no process from starting.
      return orgId === null ? null : readableOrNull(db, () => loadOrg(db, orgId));
    }),
  );
  return orgs.flatMap((org) => {
    const sealed = org?.webhook_secrets[0]?.sealed;
    return org && sealed !== undefined ? [{ sealed, place: webhookSecretContext(org.org_id) }] : [];
  });
}

function opens(sealer: Sealer, sealed: string, place: string): boolean {
  try {
    sealer.open(sealed, place);
    return true;
  } catch (error) {
    if (error instanceof UnopenableError) return false;
    throw error;
  }
}
