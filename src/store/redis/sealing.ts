// Secrets at rest: AES-256-GCM (NIST SP 800-38D) under SECRETS_KEY. What is sealed names the key it was
// sealed with, so the key can be rotated, and is bound to its place: moved elsewhere it does not open.
// Each text has a key of its own, by the expand step of HKDF (RFC 5869) with a random salt: SP 800-38D, section 8.3, allows
// 2^32 texts under one key with random nonces, which a busy system reaches within a year.

import { createCipheriv, createDecipheriv, createHmac, hash, randomBytes } from 'node:crypto';

/** What was sealed cannot be opened: its key is not configured, or it is not what was sealed. */
export class UnopenableError extends Error {
  override readonly name: string = 'UnopenableError';
  /** Id of the key that it says it was sealed with; null when it says none. */
  readonly keyId: string | null;

  constructor(message: string, keyId: string | null) {
    super(message);
    this.keyId = keyId;
  }
}

/** What was sealed cannot be opened any more: its key is not among those configured. */
class UnknownSealingKey extends UnopenableError {
  override readonly name = 'UnknownSealingKey';

  constructor(keyId: string) {
    super(`sealed with key ${keyId}, which is not configured`, keyId);
  }
}

export interface Sealer {
  /** Ids of the keys, the one that seals first. An id tells nothing of its key. */
  readonly keyIds: readonly string[];
  /** Encrypts `plain`; `place` must be given again to open it. */
  seal(plain: string, place: string): string;
  /** @throws UnknownSealingKey; UnopenableError when the text was changed or sealed for another place. */
  open(sealed: string, place: string): string;
  /** What was sealed with an earlier key, sealed with the current one; what was sealed with that, as it is. @throws as `open` */
  renew(sealed: string, place: string): string;
}

/** Bytes of the salt of a text's key, and of them with the nonce: both stand before the ciphertext. */
const SALT = 16;
const START = SALT + 12;

/** The key and the nonce of the text that begins with `start`. */
function startOf(key: Buffer, start: Buffer): { textKey: Buffer; nonce: Buffer } {
  const info = Buffer.concat([Buffer.from('biolayer sealed text'), start.subarray(0, SALT), Buffer.of(1)]);
  return { textKey: createHmac('sha256', key).update(info).digest(), nonce: start.subarray(SALT) };
}

/** @param keys 32 bytes each; the first seals, all of them open. */
export function createSealer(keys: readonly [Buffer, ...Buffer[]]): Sealer {
  const nameOf = (bytes: Buffer) => hash('sha256', bytes, 'base64url').slice(0, 8);
  const named = new Map(keys.map((one) => [nameOf(one), one]));
  const key = keys[0];
  const keyId = nameOf(key);
  const sealer: Sealer = {
    keyIds: [...named.keys()],
    seal(plain, place) {
      const start = randomBytes(START);
      const { textKey, nonce } = startOf(key, start);
      const cipher = createCipheriv('aes-256-gcm', textKey, nonce).setAAD(Buffer.from(place));
      const text = Buffer.concat([start, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `s1.${keyId}.${text.toString('base64url')}`;
    },
    open(sealed, place) {
      const [form, id = '', text = ''] = sealed.split('.');
      if (form !== 's1' || id === '') throw new UnopenableError('not a sealed text', null);
      const known = named.get(id);
      if (known === undefined) throw new UnknownSealingKey(id);
      const bytes = Buffer.from(text, 'base64url');
      try {
        const { textKey, nonce } = startOf(known, bytes.subarray(0, START));
        const decipher = createDecipheriv('aes-256-gcm', textKey, nonce, { authTagLength: 16 })
          .setAAD(Buffer.from(place))
          .setAuthTag(bytes.subarray(-16));
        return Buffer.concat([decipher.update(bytes.subarray(START, -16)), decipher.final()]).toString(
          'utf8',
        );
      } catch {
        throw new UnopenableError(`sealed with key ${id}, and altered or moved since`, id);
      }
    },
    renew(sealed, place) {
      return sealed.startsWith(`s1.${keyId}.`) ? sealed : sealer.seal(sealer.open(sealed, place), place);
    },
  };
  return sealer;
}
