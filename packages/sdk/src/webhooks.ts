// Webhooks: verified (Standard Webhooks) and read as events.

import { WebhookVerificationError as SignatureError, Webhook } from 'standardwebhooks';
import { WebhookVerificationError } from './errors.ts';
import type { WebhookEvent } from './generated/client.ts';

/** Headers of the request: a `Headers`, or the object of Node and most frameworks. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

const SIGNED = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;

/**
 * Verifies a webhook and returns its event. While a secret is rotated, pass both.
 * @param body exactly as received, before any JSON parser
 * @param secret `whsec_…` of the endpoint, or of the org for callback URLs
 * @throws WebhookVerificationError for a wrong signature, or a timestamp more than five minutes away
 */
export function unwrapWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
): WebhookEvent {
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
  const signed = Object.fromEntries(SIGNED.map((name) => [name, headerOf(headers, name)]));
  const secrets = typeof secret === 'string' ? [secret] : secret;
  let reason = 'No secret was given';
  for (const one of secrets) {
    try {
      return new Webhook(one).verify(text, signed) as WebhookEvent;
    } catch (error) {
      if (error instanceof SyntaxError)
        throw new WebhookVerificationError('The body is no JSON.', { cause: error });
      reason = error instanceof SignatureError || error instanceof Error ? error.message : String(error);
    }
  }
  throw new WebhookVerificationError(
    `The webhook is not authentic: ${reason}. Answer 400. Check that the secret is the endpoint's and the body is unparsed.`,
  );
}

function headerOf(headers: WebhookHeaders, name: string): string {
  if (headers instanceof Headers) return headers.get(name) ?? '';
  const key = Object.keys(headers).find((one) => one.toLowerCase() === name);
  const value = key === undefined ? '' : (headers[key] ?? '');
  return typeof value === 'string' ? value : (value[0] ?? '');
}
