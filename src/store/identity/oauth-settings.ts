// What all processes of the authorization server must share: the keys that sign ID tokens and those that sign
// its cookies. Made once, by whichever process needs them first, and kept sealed. A signing key is published
// for a while before it signs and after it has been replaced, so that whoever caches the public keys is never
// shown a signature by one they could not have seen.

import { generateKeyPairSync, type JsonWebKey, randomBytes } from 'node:crypto';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { PARTITIONS, partitionKeys } from '../redis/keys.ts';
import type { Sealer } from '../redis/sealing.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A signing key is replaced at this age. */
const KEY_LIFE = 90 * DAY;
/** How long a new key is published before it signs: longer than processes and clients cache. */
const LEAD = 15 * MINUTE;
/** How long a replaced key stays published: longer than any ID token lives. */
const TAIL = 2 * DAY;
const PLACE = 'oauth-settings';

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

/** The settings, made if there are none, and with a new signing key if the newest is too old. @throws Error when they were sealed with a key that is not configured. */
export async function loadOAuthSettings(db: Db, sealer: Sealer): Promise<OAuthSettings> {
  return change(db, sealer, (settings, now) => {
    const [newest] = settings.signing_keys;
    return newest !== undefined && now - newest.created_at < KEY_LIFE ? settings : rotated(settings, now);
  });
}

/** The keys in the order in which they are to be tried for signing. */
export function signingOrder({ signing_keys: keys }: OAuthSettings, now: number): SigningKey[] {
  const isReady = (key: SigningKey) => now - key.created_at >= LEAD;
  // The only key there is signs from the start: nobody can have cached anything else.
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

/** Seals the settings with the current key; false when they were already, or there are none. @throws UnknownSealingKey */
export async function resealOAuthSettings(db: Db, sealer: Sealer): Promise<boolean> {
  const before = await db.redis.get(keyOf(db));
  if (before === null || sealer.renew(before, PLACE) === before) return false;
  await change(db, sealer, (settings) => settings);
  return true;
}

function keyOf(db: Db): string {
  return partitionKeys(db.prefix, PARTITIONS[0] ?? 'p00').oauth('settings');
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
      stored === null ? { cookie_keys: [], signing_keys: [] } : JSON.parse(sealer.open(stored, PLACE));
    const after = next(before, db.clock.now());
    const sealed = sealer.seal(JSON.stringify(after), PLACE);
    // Sealed with the key before the last rotation of SECRETS_KEY: sealed anew, before that key is forgotten.
    const isCurrent = stored !== null && stored.split('.')[1] === sealed.split('.')[1];
    if (after === before && isCurrent) return after;
    const guard =
      stored === null ? { kind: 'absent' as const, key } : { kind: 'value' as const, key, value: stored };
    if (await commit(db.redis, { guards: [guard], writes: [['SET', key, sealed]] })) return after;
    return CONFLICT;
  });
}
