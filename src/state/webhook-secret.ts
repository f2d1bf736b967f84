// The secrets of Standard Webhooks: `whsec_` and base64 of a shared secret, `whsk_` and `whpk_` of an Ed25519
// key pair. Pure: bytes come from the caller.

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
