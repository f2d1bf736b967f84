// The key of an org's archive: random, sealed with SECRETS_KEY in Redis. Segments never change, so a rotation of SECRETS_KEY
// seals only this key again.

import { randomBytes } from 'node:crypto';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { orgKeysOf } from '../redis/keys.ts';
import type { Sealer } from '../redis/sealing.ts';
import { fetched } from '../redis/unreadable.ts';

/** Its field in the hash `archive`; the others are segments, whose ids are longer. */
export const KEY_FIELD = 'k';

function contextOf(tenantId: string): string {
  return `${tenantId} archive-key`;
}

/** The key, and as it is stored; it is created if there is none. @throws UnopenableError */
export async function archiveKey(
  db: Db,
  sealer: Sealer,
  tenantId: string,
): Promise<{ key: Buffer; sealed: string }> {
  const { archive } = orgKeysOf(db.prefix, tenantId);
  const load = () => fetched(archive, db.redis.hget(archive, KEY_FIELD));
  const context = contextOf(tenantId);
  let sealed = await load();
  if (sealed === null) {
    await db.redis.hsetnx(archive, KEY_FIELD, sealer.seal(randomBytes(32).toString('base64'), context));
    sealed = await load();
  }
  if (sealed === null) throw new Error(`the archive of ${tenantId} has no key`);
  return { key: Buffer.from(sealer.open(sealed, context), 'base64'), sealed };
}

/** Seals the key with the current SECRETS_KEY. @returns whether it was sealed with another one. @throws UnopenableError */
export function resealArchiveKey(db: Db, sealer: Sealer, tenantId: string): Promise<boolean> {
  const { archive } = orgKeysOf(db.prefix, tenantId);
  return updateWithRetry('archive key', async () => {
    const before = await fetched(archive, db.redis.hget(archive, KEY_FIELD));
    if (before === null) return false;
    const after = sealer.renew(before, contextOf(tenantId));
    if (after === before) return false;
    const guards = [{ kind: 'field', key: archive, field: KEY_FIELD, value: before }] as const;
    const writes = [['HSET', archive, KEY_FIELD, after]] as const;
    return (await commit(db.redis, { guards, writes })) ? true : CONFLICT;
  });
}
