// Secrets at rest: AES-256-GCM (NIST SP 800-38D) under SECRETS_KEY. What is sealed names the key it was
// sealed with, so the key can be rotated, and is bound to its place: moved elsewhere it does not open.

import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';

/** What was sealed cannot be opened any more: its key is not among those configured. */
export class UnknownSealingKey extends Error {
  constructor() {
    super('sealed with a key that is not configured');
    this.name = 'UnknownSealingKey';
  }
}

export interface Sealer {
  /** Encrypts `plain`; `place` must be given again to open it. */
  seal(plain: string, place: string): string;
  /** @throws UnknownSealingKey; Error when the text was changed or sealed for another place. */
  open(sealed: string, place: string): string;
  /** What was sealed with an earlier key, sealed with the current one; what was sealed with that, as it is. @throws as `open` */
  renew(sealed: string, place: string): string;
}

/** @param keys 32 bytes each; the first seals, all of them open. */
export function createSealer(keys: readonly [Buffer, ...Buffer[]]): Sealer {
  const nameOf = (bytes: Buffer) => hash('sha256', bytes, 'base64url').slice(0, 8);
  const named = new Map(keys.map((one) => [nameOf(one), one]));
  const key = keys[0];
  const keyId = nameOf(key);
  const sealer: Sealer = {
    seal(plain, place) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(place));
      const text = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `s1.${keyId}.${text.toString('base64url')}`;
    },
    open(sealed, place) {
      const [form, id = '', text = ''] = sealed.split('.');
      const known = named.get(id);
      if (form !== 's1' || known === undefined) throw new UnknownSealingKey();
      const bytes = Buffer.from(text, 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', known, bytes.subarray(0, 12), { authTagLength: 16 })
        .setAAD(Buffer.from(place))
        .setAuthTag(bytes.subarray(-16));
      return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8');
    },
    renew(sealed, place) {
      return sealed.startsWith(`s1.${keyId}.`) ? sealed : sealer.seal(sealer.open(sealed, place), place);
    },
  };
  return sealer;
}
