// The keys that sign exports: an Ed25519 pair, made when it is first needed, its private half sealed. Public
// halves are kept for good, so that old exports can be verified. When the private half cannot be opened any
// more (SECRETS_KEY is another and the old one is not given), a new pair takes its place.

import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type PublicKey, publicKeyOf } from '../../state/access/key-set.ts';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import type { Sealer } from '../redis/sealing.ts';

interface KeptKey {
  public: PublicKey;
  /** PKCS #8, base64, sealed for `PLACE`. */
  sealed: string;
}

const PLACE = 'audit-signing-key';

/** Name of the key they lie under: of the whole system, not of an org. */
export function auditKeysKey(prefix: string): string {
  return `${prefix}:audit-keys`;
}

/** All public keys, the newest last; makes the first. */
export async function publicKeys(db: Db, sealer: Sealer): Promise<PublicKey[]> {
  return (await ensure(db, sealer)).kept.map((one) => one.public);
}

/** The key that signs now. */
export async function signingKey(db: Db, sealer: Sealer): Promise<{ keyId: string; key: KeyObject }> {
  const { current, key } = await ensure(db, sealer);
  return { keyId: current.public.kid, key };
}

/** The keys with one at their end that can be used. Whoever comes second uses the first one's. */
async function ensure(
  db: Db,
  sealer: Sealer,
): Promise<{ kept: KeptKey[]; current: KeptKey; key: KeyObject }> {
  const name = auditKeysKey(db.prefix);
  return updateWithRetry('audit keys', async () => {
    const text = await db.redis.get(name);
    const kept = text === null ? [] : (JSON.parse(text) as KeptKey[]);
    const current = kept.at(-1);
    const key = current === undefined ? null : open(sealer, current);
    if (current !== undefined && key !== null) return { kept, current, key };
    const after = JSON.stringify([...kept, newKey(sealer)]);
    const guard =
      text === null
        ? ({ kind: 'absent', key: name } as const)
        : ({ kind: 'value', key: name, value: text } as const);
    await commit(db.redis, { guards: [guard], writes: [['SET', name, after]] });
    return CONFLICT;
  });
}

/** Seals the private half of the key that signs now with the current SECRETS_KEY; false when it was already, or there is none. @throws UnknownSealingKey */
export async function resealAuditKeys(db: Db, sealer: Sealer): Promise<boolean> {
  const name = auditKeysKey(db.prefix);
  return updateWithRetry('audit keys', async () => {
    const text = await db.redis.get(name);
    const kept = text === null ? [] : (JSON.parse(text) as KeptKey[]);
    const current = kept.pop();
    if (text === null || current === undefined) return false;
    const sealed = sealer.renew(current.sealed, PLACE);
    if (sealed === current.sealed) return false;
    // Those before it sign nothing any more.
    const after = JSON.stringify([...kept, { ...current, sealed }]);
    if (
      await commit(db.redis, {
        guards: [{ kind: 'value', key: name, value: text }],
        writes: [['SET', name, after]],
      })
    )
      return true;
    return CONFLICT;
  });
}

function newKey(sealer: Sealer): KeptKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  return {
    public: publicKeyOf(publicKey),
    sealed: sealer.seal(pkcs8, PLACE),
  };
}

function open(sealer: Sealer, { sealed }: KeptKey): KeyObject | null {
  try {
    const der = Buffer.from(sealer.open(sealed, PLACE), 'base64');
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch {
    return null;
  }
}
