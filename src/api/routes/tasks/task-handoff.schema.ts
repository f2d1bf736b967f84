// Schemas of how the events of a task are sent.

import Type from 'typebox';
import { EVENT_TYPES } from '../../../state/tasks/lifecycle.ts';
import { patternWithRule } from '../../http/pattern-rules.ts';
import { closed } from '../../http/schemas.ts';
import { DeliveryOrdering, EventType } from './enums.schema.ts';

const KIND = { description: 'Kind of authentication' };

const Auth = {
  none: closed({ type: Type.Literal('none', KIND) }, 'NoAuth', 'No authentication'),
  bearer: closed(
    {
      type: Type.Literal('bearer', KIND),
      // Characters that a header may hold (RFC 9110, section 5.5).
      token: Type.String({
        minLength: 1,
        maxLength: 4096,
        ...patternWithRule('^[\\x20-\\x7e]*$', 'must have only printable ASCII characters'),
        description: 'Sent as the bearer token; stored encrypted and never shown',
      }),
    },
    'BearerAuth',
    'A bearer token',
  ),
  basic: closed(
    {
      type: Type.Literal('basic', KIND),
      username: Type.String({
        minLength: 1,
        maxLength: 500,
        ...patternWithRule('^[^:]*$', 'must not contain a colon'),
        description: 'User name, without a colon',
      }),
      password: Type.String({ maxLength: 4096, description: 'Stored encrypted and never shown' }),
    },
    'BasicAuth',
    'User name and password',
  ),
};
type AuthInput = Type.Static<(typeof Auth)['none' | 'bearer' | 'basic']>;

const RETRIES = 'How often and when failed deliveries are tried again';
/** As shown, with all members. */
export const RetryPolicy = closed(
  {
    max_retries: Type.Integer({
      minimum: 0,
      maximum: 20,
      default: 6,
      description: 'Attempts after the first before the delivery is given up',
    }),
    backoff_seconds: Type.Integer({
      minimum: 1,
      maximum: 3600,
      default: 30,
      description: 'Seconds before the first retry; each later one waits twice as long',
    }),
  },
  'RetryPolicy',
  RETRIES,
);

export const RetryPolicyInput = Type.Partial(RetryPolicy, {
  $id: 'RetryPolicyInput',
  additionalProperties: false,
  description: RETRIES,
});

export const Handoff = {
  callback_url: Type.Optional(
    Type.String({ maxLength: 2048, description: 'URL that gets the events of the task as webhooks' }),
  ),
  callback_auth: Type.Optional(
    Type.Unsafe<AuthInput>({
      type: 'object',
      discriminator: { propertyName: 'type' },
      required: ['type'],
      properties: { type: { type: 'string' } },
      oneOf: [Auth.none, Auth.bearer, Auth.basic],
      description: 'How deliveries to the callback URL authenticate; default: none',
    }),
  ),
  retry_policy: Type.Optional(RetryPolicyInput),
  events: Type.Optional(
    Type.Array(EventType, {
      minItems: 1,
      maxItems: EVENT_TYPES.length,
      description: 'Types of the events that are sent to the callback URL',
    }),
  ),
  ordering: Type.Optional(DeliveryOrdering),
};
