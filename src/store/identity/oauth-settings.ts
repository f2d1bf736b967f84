// The keys that all processes of the authorization server share: those that sign ID tokens and those that sign cookies.
// The process that needs them first generates them; they are stored sealed. A signing key is published for a while
// before it signs and after it has been replaced, so that clients that cache the public keys know every key in use.

import { generateKeyPairSync, type JsonWebKey, randomBytes } from 'node:crypto';
import { readJsonShape, type Shape } from '../../state/text/forms.ts';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { PARTITIONS, partitionKeys } from '../redis/keys.ts';
import type { Sealer } from '../redis/sealing.ts';
import { required } from '../redis/unreadable.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A signing key is replaced at this age, ms. */
const KEY_LIFE = 90 * DAY;
/** How long a new key is published before it signs, ms: longer than processes and clients cache keys. */
const LEAD = 15 * MINUTE;
/** How long a replaced key stays published, ms: longer than the lifetime of an ID token. */
const TAIL = 2 * DAY;
const CONTEXT = 'oauth-settings';

export interface SigningKey {
  /** Private, ES256. */
  jwk: JsonWebKey;
  created_at: number;
}

export interface OAuthSettings {
  cookie_keys: string[];
  /** Newest first. */
  signing_keys: SigningKey[];
}

const SHAPE: Shape<OAuthSettings> = { cookie_keys: 'strings', signing_keys: 'list' };

/**
 * Loads the settings; generates them if there are none, and a new signing key if the newest is too old.
 * @throws UnknownSealingKey when they were sealed with a key that is not configured.
 */
export async function loadOAuthSettings(db: Db, sealer: Sealer): Promise<OAuthSettings> {
  return change(db, sealer, (settings, now) => {
    const [newest] = settings.signing_keys;
    return newest !== undefined && now - newest.created_at < KEY_LIFE ? settings : rotated(settings, now);
  });
}

/** The signing keys, the one that signs first. @param now ms. */
export function signingOrder({ signing_keys: keys }: OAuthSettings, now: number): SigningKey[] {
  const isReady = (key: SigningKey) => now - key.created_at >= LEAD;
  // The first key of all signs at once: no client can have cached another.
  return [...keys.filter(isReady), ...keys.filter((key) => !isReady(key)).toReversed()];
}

function rotated(settings: OAuthSettings, now: number): OAuthSettings {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' };
  const [newest] = settings.signing_keys;
  const stays = (_key: SigningKey, index: number) => {
    const replacedAt = index === 0 ? now : (settings.signing_keys[index - 1]?.created_at ?? now);
    return now - replacedAt < TAIL + LEAD;
  };
  return {
    cookie_keys: newest === undefined ? [randomBytes(32).toString('base64url')] : settings.cookie_keys,
    signing_keys: [{ jwk, created_at: now }, ...settings.signing_keys.filter(stays)],
  };
}

/** Reseals the settings with the current key. @returns false when there was nothing to reseal. @throws UnknownSealingKey */
export async function resealOAuthSettings(db: Db, sealer: Sealer): Promise<boolean> {
  const before = await db.redis.get(keyOf(db));
  if (before === null || sealer.renew(before, CONTEXT) === before) return false;
  await change(db, sealer, (settings) => settings);
  return true;
}

function keyOf(db: Db): string {
  return partitionKeys(db.prefix, PARTITIONS[0] ?? 'p08').oauth('settings');
}

async function change(
  db: Db,
  sealer: Sealer,
  next: (settings: OAuthSettings, now: number) => OAuthSettings,
): Promise<OAuthSettings> {
  const key = keyOf(db);
  return updateWithRetry('OAuth settings', async () => {
    const stored = await db.redis.get(key);
    const before: OAuthSettings =
      stored === null
        ? { cookie_keys: [], signing_keys: [] }
        : required(key, readJsonShape(sealer.open(stored, CONTEXT), SHAPE));
    const after = next(before, db.clock.now());
    const sealed = sealer.seal(JSON.stringify(after), CONTEXT);
    // Settings sealed with an earlier SECRETS_KEY are resealed, so that this key can be removed.
    const isCurrent = stored !== null && stored.split('.')[1] === sealed.split('.')[1];
    if (after === before && isCurrent) return after;
    const guard =
      stored === null ? { kind: 'absent' as const, key } : { kind: 'value' as const, key, value: stored };
    if (await commit(db.redis, { guards: [guard], writes: [['SET', key, sealed]] })) return after;
    return CONFLICT;
  });
}
