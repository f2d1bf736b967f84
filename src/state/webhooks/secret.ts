// The secrets of Standard Webhooks: `whsec_` and base64 of a shared secret, `whsk_` and `whpk_` of an Ed25519
// key pair. Pure: bytes come from the caller.

/** How many secrets sign at once: each adds a signature to the headers of every delivery. */
export const SIGNING_SECRETS = 5;

/**
 * The secrets that sign once a new one is there, newest first. One that was on its way out keeps its own end; when they
 * are too many the oldest end at once.
 * @param now ms. @param end when the one that was current ends, ms.
 */
export function withNewSecret<T extends { expires_at: number | null }>(
  made: T,
  before: readonly T[],
  now: number,
  end: number,
): T[] {
  const ending = before.map((one) => ({ ...one, expires_at: one.expires_at ?? end }));
  return [made, ...ending.filter((one) => one.expires_at > now)].slice(0, SIGNING_SECRETS);
}

const MIN_BYTES = 24;
const MAX_BYTES = 64;

/** What is wrong with a `whsec_…` secret that somebody brings along, as a sentence; null when it may sign. */
export function secretFault(secret: string): string | null {
  const encoded = secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : '';
  const bytes = Buffer.from(encoded, 'base64');
  // Written again it must be the same, padding and all: Buffer forgives what other languages' decoders do not.
  const isBase64 = bytes.toString('base64') === encoded;
  if (encoded === '' || !isBase64) return 'must be whsec_ and standard base64, with its padding';
  if (bytes.length >= MIN_BYTES && bytes.length <= MAX_BYTES) return null;
  return `must hold ${MIN_BYTES} to ${MAX_BYTES} bytes, not ${bytes.length}`;
}
