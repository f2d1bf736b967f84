// Schemas of webhook endpoints and of the requests about them.

import Type from 'typebox';
import { SIGNATURES } from '../../../state/webhooks/endpoint.ts';
import { closed, described, idOf, nullable, Timestamp, Uuid, word } from '../../http/schemas.ts';
import { DeliveryOrdering, EventType } from '../tasks/enums.schema.ts';
import { ORDERING_DESCRIPTION } from '../tasks/task-input.schema.ts';

const Url = Type.String({ maxLength: 2048, description: 'https URL of a host with a public address' });
const Events = Type.Array(EventType, { minItems: 1, maxItems: 50, uniqueItems: true });
const Description = Type.String({ maxLength: 500 });
const Headers = Type.Record(Type.String({ maxLength: 100 }), Type.String({ maxLength: 2000 }), {
  maxProperties: 20,
  description:
    'Sent with every delivery; stored encrypted and never shown. Removed when `url` changes to another origin without new headers in the same request',
});
const RetryPolicy = closed({
  max_retries: Type.Integer({ minimum: 0, maximum: 20, default: 6 }),
  backoff_seconds: Type.Integer({ minimum: 1, maximum: 3600, default: 30 }),
});
const RetryChange = Type.Partial(RetryPolicy, { additionalProperties: false });
const Secret = Type.String({
  maxLength: 100,
  description: '`whsec_…`, 24 to 64 bytes; generated if absent',
});

const Changeable = {
  url: Url,
  events: Events,
  description: Description,
  enabled: Type.Boolean(),
  headers: Headers,
  retry_policy: RetryChange,
  ordering: described(DeliveryOrdering, ORDERING_DESCRIPTION),
};
const { url, ...optional } = Changeable;

export const EndpointCreate = closed({
  url,
  ...Type.Partial(Type.Object(optional)).properties,
  signature: Type.Optional(word(SIGNATURES, { default: 'v1', description: 'v1: HMAC-SHA256. v1a: Ed25519' })),
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
      default: 86_400,
      description: 'How long deliveries are signed with the old secret as well',
    }),
  ),
});

const Shown = {
  endpoint_id: Uuid,
  url: Type.String(),
  description: Type.String(),
  events: Type.Array(EventType),
  enabled: Type.Boolean(),
  disabled: nullable(closed({ reason: word(['manual', 'gone', 'failing']), at: Timestamp })),
  failing_since: nullable(Timestamp),
  signature: word(SIGNATURES),
  public_key: nullable(Type.String({ description: '`whpk_…`, for v1a' })),
  previous_secret_expires_at: nullable(Timestamp),
  header_names: Type.Array(Type.String()),
  retry_policy: RetryPolicy,
  ordering: DeliveryOrdering,
  created_at: Timestamp,
  updated_at: Timestamp,
};
export const EndpointView = Type.Object(Shown, { $id: 'WebhookEndpoint' });
/** An endpoint with its secret: shown once, when the endpoint is created or its secret is rotated. */
export const EndpointWithSecret = Type.Object(
  { ...Shown, secret: nullable(Type.String({ description: '`whsec_…`; null for v1a' })) },
  { $id: 'WebhookEndpointWithSecret' },
);
export const EndpointParams = Type.Object({ endpoint_id: idOf('webhook endpoint') });
