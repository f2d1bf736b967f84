// The keys that sign exports: an Ed25519 key pair, generated when it is first needed, with the private key sealed. Public
// keys are kept forever, so that old exports can be verified. When the private key cannot be opened, because its
// SECRETS_KEY is no longer configured, a new pair is generated.

import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type PublicKey, publicKeyOf } from '../../state/access/key-set.ts';
import { readJsonList, type Shape } from '../../state/text/forms.ts';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import type { Sealer } from '../redis/sealing.ts';
import { required } from '../redis/unreadable.ts';

interface StoredKey {
  public: PublicKey;
  /** The private key: PKCS #8, base64, sealed with the AAD context `CONTEXT`. */
  sealed: string;
}

const CONTEXT = 'audit-signing-key';

const SHAPE: Shape<StoredKey> = { public: 'object', sealed: 'string' };

function readKeys(name: string, text: string | null): StoredKey[] {
  return text === null ? [] : required(name, readJsonList(text, SHAPE));
}

/** String: the keys of the installation as JSON, the newest last. */
export function auditKeysKey(prefix: string): string {
  return `${prefix}:audit-keys`;
}

/** All public keys, the newest last; generates the first. @throws UnreadableRecord */
export async function publicKeys(db: Db, sealer: Sealer): Promise<PublicKey[]> {
  return (await ensure(db, sealer)).kept.map((one) => one.public);
}

/** The current signing key and its id. @throws UnreadableRecord */
export async function signingKey(db: Db, sealer: Sealer): Promise<{ keyId: string; key: KeyObject }> {
  const { current, key } = await ensure(db, sealer);
  return { keyId: current.public.kid, key };
}

/** The stored keys, of which the last can be opened; generates it if needed. Of concurrent processes the first wins. */
async function ensure(
  db: Db,
  sealer: Sealer,
): Promise<{ kept: StoredKey[]; current: StoredKey; key: KeyObject }> {
  const name = auditKeysKey(db.prefix);
  return updateWithRetry('audit keys', async () => {
    const text = await db.redis.get(name);
    const kept = readKeys(name, text);
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

/**
 * Reseals the private key of the current pair with the current SECRETS_KEY.
 * @returns false when there was nothing to reseal. @throws UnknownSealingKey, UnreadableRecord
 */
export async function resealAuditKeys(db: Db, sealer: Sealer): Promise<boolean> {
  const name = auditKeysKey(db.prefix);
  return updateWithRetry('audit keys', async () => {
    const text = await db.redis.get(name);
    const kept = readKeys(name, text);
    const current = kept.pop();
    if (text === null || current === undefined) return false;
    const sealed = sealer.renew(current.sealed, CONTEXT);
    if (sealed === current.sealed) return false;
    // Earlier keys sign nothing, so they are not resealed.
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

function newKey(sealer: Sealer): StoredKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  return {
    public: publicKeyOf(publicKey),
    sealed: sealer.seal(pkcs8, CONTEXT),
  };
}

function open(sealer: Sealer, { sealed }: StoredKey): KeyObject | null {
  try {
    const der = Buffer.from(sealer.open(sealed, CONTEXT), 'base64');
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } catch {
    return null;
  }
}
