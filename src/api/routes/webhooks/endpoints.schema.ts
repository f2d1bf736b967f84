// Schemas of webhook endpoints and of the requests about them.

import Type from 'typebox';
import { SIGNATURES } from '../../../state/webhooks/endpoint.ts';
import { SECRET_OVERLAP_MS } from '../../../state/webhooks/secret.ts';
import { CreatedAt, closed, idOf, label, nullable, text, time, UpdatedAt, word } from '../../http/schemas.ts';
import { DeliveryOrdering, EventType } from '../tasks/enums.schema.ts';
import { RetryPolicy, RetryPolicyInput } from '../tasks/task-handoff.schema.ts';

const Url = Type.String({ maxLength: 2048, description: 'https URL of a host with a public address' });
const EVENTS = 'Types of the events that are sent';
const Events = Type.Array(EventType, {
  minItems: 1,
  maxItems: 50,
  uniqueItems: true,
  description: EVENTS,
});
const Description = Type.String({ maxLength: 500, description: 'What the endpoint is for' });
const Headers = Type.Record(Type.String({ maxLength: 100 }), Type.String({ maxLength: 2000 }), {
  maxProperties: 20,
  description:
    'Sent with every delivery; stored encrypted and never shown. Removed when `url` changes to another origin without new headers in the same request',
});
const Secret = Type.String({
  maxLength: 100,
  description: '`whsec_…`, 24 to 64 bytes; generated if absent',
});

const Signature = word(SIGNATURES, { default: 'v1', description: 'v1: HMAC-SHA256. v1a: Ed25519' });

const Changeable = {
  url: Url,
  events: Events,
  description: Description,
  enabled: Type.Boolean({ description: 'Whether events are sent' }),
  headers: Headers,
  retry_policy: RetryPolicyInput,
  ordering: DeliveryOrdering,
};
const { url, ...optional } = Changeable;

export const EndpointCreate = closed({
  url,
  ...Type.Partial(Type.Object(optional)).properties,
  signature: Type.Optional(Signature),
  secret: Type.Optional(Secret),
});
export type EndpointCreate = Type.Static<typeof EndpointCreate>;
export const EndpointChange = Type.Partial(closed(Changeable), { additionalProperties: false });
export type EndpointChange = Type.Static<typeof EndpointChange>;

export const RotateSecret = closed({
  secret: Type.Optional(Secret),
  overlap_seconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 604_800,
      default: SECRET_OVERLAP_MS / 1000,
      description: 'How long deliveries are signed with the old secret as well',
    }),
  ),
});

const Shown = {
  endpoint_id: idOf('webhook endpoint'),
  url: label('URL that events are sent to', 2048),
  description: Description,
  events: Type.Array(EventType, { minItems: 1, maxItems: 50, description: EVENTS }),
  enabled: Changeable.enabled,
  disabled: nullable(
    closed({
      reason: word(['manual', 'gone', 'failing'], {
        description: 'manual: by a request. gone: the receiver answered 410. failing: it failed for too long',
      }),
      at: time('When it was disabled'),
    }),
    'Why and since when nothing is sent; null while enabled',
  ),
  failing_since: nullable(time('Start of the current series of failures; null for none')),
  signature: Signature,
  public_key: nullable(text('`whpk_…`, for v1a', { pattern: '^whpk_' })),
  previous_secret_expires_at: nullable(time('Until when the old secret signs as well; null for none')),
  header_names: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
    maxItems: 20,
    description: 'Names of the extra headers',
  }),
  retry_policy: RetryPolicy,
  ordering: DeliveryOrdering,
  created_at: CreatedAt,
  updated_at: UpdatedAt,
};
export const EndpointView = Type.Object(Shown, {
  $id: 'WebhookEndpoint',
  description: 'A receiver of the events of all tasks',
});
/** An endpoint with its secret: shown once, when the endpoint is created or its secret is rotated. */
export const EndpointWithSecret = Type.Object(
  { ...Shown, secret: nullable(text('`whsec_…`; null for v1a', { pattern: '^whsec_' })) },
  { $id: 'WebhookEndpointWithSecret', description: 'An endpoint with the secret that signs its events' },
);
export const EndpointParams = Type.Object({ endpoint_id: idOf('webhook endpoint') });
