// The secrets of Standard Webhooks: `whsec_` and base64 of a shared secret, `whsk_` and `whpk_` of an Ed25519
// key pair. Pure: bytes come from the caller.

/** Most active secrets: each adds a signature to the headers of every delivery. */
export const SIGNING_SECRETS = 5;

/** How long a replaced secret keeps signing unless the request says otherwise, ms. */
export const SECRET_OVERLAP_MS = 24 * 3600 * 1000;

/**
 * The active secrets after a new one is added, newest first. A secret that already expires keeps its expiry; when there
 * are too many, the oldest are removed at once.
 * @param now ms. @param overlap how long the replaced secret keeps signing, ms.
 */
export function withNewSecret<T extends { expires_at: number | null }>(
  made: T,
  before: readonly T[],
  now: number,
  overlap = SECRET_OVERLAP_MS,
): T[] {
  const ending = before.map((one) => ({ ...one, expires_at: one.expires_at ?? now + overlap }));
  return [made, ...ending.filter((one) => one.expires_at > now)].slice(0, SIGNING_SECRETS);
}

const MIN_BYTES = 24;
const MAX_BYTES = 64;

/** The fault of a `whsec_…` secret that a client brings, as a sentence; null when it is valid. */
export function secretFault(secret: string): string | null {
  const encoded = secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : '';
  const bytes = Buffer.from(encoded, 'base64');
  // Encoding it again must give the same text: Buffer accepts invalid base64 that other decoders refuse.
  const isBase64 = bytes.toString('base64') === encoded;
  if (encoded === '' || !isBase64) return 'must be whsec_ and standard base64, with its padding';
  if (bytes.length >= MIN_BYTES && bytes.length <= MAX_BYTES) return null;
  return `must hold ${MIN_BYTES} to ${MAX_BYTES} bytes, not ${bytes.length}`;
}
