// Secrets at rest: AES-256-GCM (NIST SP 800-38D) under SECRETS_KEY. A sealed text names its key, so that the key can be
// rotated, and is bound to a context (the AAD): copied to another record it does not open.
// Each text has its own key, from the expand step of HKDF (RFC 5869) with a random salt: SP 800-38D, section 8.3,
// allows 2^32 texts under one key with random nonces, which a busy system reaches within a year.

import { createCipheriv, createDecipheriv, createHmac, hash, randomBytes } from 'node:crypto';

/** A sealed text cannot be opened: its key is not configured, or the text was altered or moved. */
export class UnopenableError extends Error {
  override readonly name: string = 'UnopenableError';
  /** Id of the key that the text names; null when it names none. */
  readonly keyId: string | null;

  constructor(message: string, keyId: string | null) {
    super(message);
    this.keyId = keyId;
  }
}

/** The key of a sealed text is not configured. */
class UnknownSealingKey extends UnopenableError {
  override readonly name = 'UnknownSealingKey';

  constructor(keyId: string) {
    super(`sealed with key ${keyId}, which is not configured`, keyId);
  }
}

export interface Sealer {
  /** Ids of the keys, the one that seals first. An id reveals nothing about its key. */
  readonly keyIds: readonly string[];
  /** Encrypts `plain`. @param context must be given again to open the text. */
  seal(plain: string, context: string): string;
  /** Decrypts a text. @throws UnknownSealingKey; UnopenableError when it was altered or has another context. */
  open(sealed: string, context: string): string;
  /** Reseals a text of an earlier key with the current one; a text of the current key stays as it is. @throws as `open` */
  renew(sealed: string, context: string): string;
}

/** Bytes of the salt of a text's key, and of salt and nonce together; both precede the ciphertext. */
const SALT = 16;
const START = SALT + 12;

const LABEL = Buffer.from('biolayer sealed text');
const FIRST_BLOCK = Buffer.of(1);

/** Key and nonce of the text that starts with these bytes. */
function startOf(key: Buffer, start: Buffer): { textKey: Buffer; nonce: Buffer } {
  const info = Buffer.concat([LABEL, start.subarray(0, SALT), FIRST_BLOCK]);
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
    seal(plain, context) {
      const start = randomBytes(START);
      const { textKey, nonce } = startOf(key, start);
      const cipher = createCipheriv('aes-256-gcm', textKey, nonce).setAAD(Buffer.from(context));
      const text = Buffer.concat([start, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `s1.${keyId}.${text.toString('base64url')}`;
    },
    open(sealed, context) {
      const [form, id = '', text = ''] = sealed.split('.');
      if (form !== 's1' || id === '') throw new UnopenableError('not a sealed text', null);
      const known = named.get(id);
      if (known === undefined) throw new UnknownSealingKey(id);
      const bytes = Buffer.from(text, 'base64url');
      try {
        const { textKey, nonce } = startOf(known, bytes.subarray(0, START));
        const decipher = createDecipheriv('aes-256-gcm', textKey, nonce, { authTagLength: 16 })
          .setAAD(Buffer.from(context))
          .setAuthTag(bytes.subarray(-16));
        return Buffer.concat([decipher.update(bytes.subarray(START, -16)), decipher.final()]).toString(
          'utf8',
        );
      } catch {
        throw new UnopenableError(`sealed with key ${id}, and altered or moved since`, id);
      }
    },
    renew(sealed, context) {
      return sealed.startsWith(`s1.${keyId}.`) ? sealed : sealer.seal(sealer.open(sealed, context), context);
    },
  };
  return sealer;
}
