// The key pair that identifies this installation to push services (VAPID, RFC 8292): an ECDSA key on P-256, generated when
// it is first needed, with the private key sealed. Browsers subscribe with the public key, so it is kept. When the private
// key cannot be opened, because its SECRETS_KEY is no longer configured, a new pair is generated.

import { createECDH } from 'node:crypto';
import { readJsonShape, type Shape } from '../../state/text/forms.ts';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { type Sealer, UnopenableError } from '../redis/sealing.ts';
import { required } from '../redis/unreadable.ts';

interface StoredKeys {
  /** The uncompressed point, base64url. */
  public_key: string;
  /** The private scalar, base64url, sealed. */
  sealed: string;
}

const CONTEXT = 'vapid-keys';

const SHAPE: Shape<StoredKeys> = { public_key: 'string', sealed: 'string' };

/** String: the pair of the installation as JSON. */
function vapidKeysKey(prefix: string): string {
  return `${prefix}:vapid-keys`;
}

export interface VapidKeys {
  publicKey: string;
  privateKey: string;
}

/** The key pair; generated if there is none. Of concurrent processes the first wins. @throws UnreadableRecord */
export async function vapidKeys(db: Db, sealer: Sealer): Promise<VapidKeys> {
  const key = vapidKeysKey(db.prefix);
  return updateWithRetry('VAPID keys', async () => {
    const text = await db.redis.get(key);
    const stored = text === null ? null : required(key, readJsonShape(text, SHAPE));
    const privateKey = stored === null ? null : open(sealer, stored);
    if (stored !== null && privateKey !== null) return { publicKey: stored.public_key, privateKey };
    await replace(db, text, newKeys(sealer));
    return CONFLICT;
  });
}

/** Reseals the private key with the current SECRETS_KEY. @returns false when there was nothing to reseal */
export async function resealVapidKeys(db: Db, sealer: Sealer): Promise<boolean> {
  const key = vapidKeysKey(db.prefix);
  return updateWithRetry('VAPID keys', async () => {
    const text = await db.redis.get(key);
    if (text === null) return false;
    const stored = required(key, readJsonShape(text, SHAPE));
    const sealed = sealer.renew(stored.sealed, CONTEXT);
    if (sealed === stored.sealed) return false;
    return (await replace(db, text, { ...stored, sealed })) ? true : CONFLICT;
  });
}

function replace(db: Db, before: string | null, after: StoredKeys): Promise<boolean> {
  const key = vapidKeysKey(db.prefix);
  const guard =
    before === null ? ({ kind: 'absent', key } as const) : ({ kind: 'value', key, value: before } as const);
  return commit(db.redis, { guards: [guard], writes: [['SET', key, JSON.stringify(after)]] });
}

function newKeys(sealer: Sealer): StoredKeys {
  const pair = createECDH('prime256v1');
  pair.generateKeys();
  // 32 bytes, also when the number begins with zeros.
  const scalar = Buffer.alloc(32);
  const shorter = pair.getPrivateKey();
  shorter.copy(scalar, 32 - shorter.length);
  return {
    public_key: pair.getPublicKey('base64url'),
    sealed: sealer.seal(scalar.toString('base64url'), CONTEXT),
  };
}

function open(sealer: Sealer, { sealed }: StoredKeys): string | null {
  try {
    return sealer.open(sealed, CONTEXT);
  } catch (error) {
    if (error instanceof UnopenableError) return null;
    throw error;
  }
}
