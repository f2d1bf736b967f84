// Schemas of notification channels and of the requests about them.

import Type from 'typebox';
import { CHANNEL_KINDS, MAX_CHANNELS, NOTICE_LANGUAGES } from '../../../state/notices/channel.ts';
import { patternWithRule } from '../../http/pattern-rules.ts';
import {
  CreatedAt,
  closed,
  described,
  idOf,
  nullable,
  text,
  time,
  UpdatedAt,
  word,
} from '../../http/schemas.ts';

const Clock = Type.String({
  ...patternWithRule('^([01][0-9]|2[0-3]):[0-5][0-9]$', 'must be a time of day, such as 22:00'),
  examples: ['22:00'],
  description: 'Time of day, `HH:MM`',
});

const QuietHoursFields = {
  start: Clock,
  end: described(Clock, 'Time of day, `HH:MM`; earlier than `start` when they span midnight'),
  time_zone: Type.String({
    minLength: 1,
    maxLength: 64,
    examples: ['Europe/Berlin'],
    description: 'Name in the IANA time zone database',
  }),
};
const AllowCritical = Type.Boolean({
  default: false,
  description: 'Whether notices of `critical` tasks are sent all the same',
});
const QuietHours = closed(
  { ...QuietHoursFields, allow_critical: AllowCritical },
  'QuietHours',
  'A daily period without notices',
);
const QuietHoursInput = closed(
  { ...QuietHoursFields, allow_critical: Type.Optional(AllowCritical) },
  'QuietHoursInput',
  'A daily period without notices',
);

const Name = Type.String({
  maxLength: 100,
  description: 'What I call it, such as the device; plain text',
});
const Language = word(NOTICE_LANGUAGES, { default: 'en', description: 'Language of its notices' });
const Enabled = Type.Boolean({ default: true, description: 'Whether notices are sent through it' });

const Common = {
  name: Type.Optional(Name),
  language: Type.Optional(Language),
  enabled: Type.Optional(Enabled),
  quiet_hours: Type.Optional(nullable(QuietHoursInput, 'Null for none')),
};

const KIND = { description: 'Kind of channel' };
const Subscription = closed(
  {
    endpoint: Type.String({ maxLength: 2048, description: 'URL of the push service' }),
    keys: closed(
      {
        p256dh: Type.String({ maxLength: 200, description: 'Public key of the browser, base64url' }),
        auth: Type.String({ maxLength: 100, description: 'Authentication secret, base64url' }),
      },
      'PushSubscriptionKeys',
      'Keys that notices are encrypted with',
    ),
    expirationTime: Type.Optional(
      nullable(Type.Number({ description: 'As the browser gives it; not used' }), 'Not used'),
    ),
  },
  'PushSubscription',
  'A subscription as `PushSubscription.toJSON()` gives it; stored encrypted and never shown',
);

const ByKind = {
  web_push: closed(
    { kind: Type.Literal('web_push', KIND), subscription: Subscription, ...Common },
    'WebPushChannelInput',
    'Web Push to a browser',
  ),
  email: closed(
    {
      kind: Type.Literal('email', KIND),
      address: Type.String({
        format: 'email',
        maxLength: 254,
        description: 'Address; it gets a code that confirms it',
      }),
      ...Common,
    },
    'EmailChannelInput',
    'E-mail to an address',
  ),
  slack: closed(
    {
      kind: Type.Literal('slack', KIND),
      url: Type.String({
        maxLength: 2048,
        description: 'https URL of the incoming webhook; stored encrypted and never shown',
      }),
      ...Common,
    },
    'SlackChannelInput',
    'A Slack-compatible incoming webhook',
  ),
};
export type ChannelCreate = Type.Static<(typeof ByKind)[keyof typeof ByKind]>;
export const ChannelCreate = Type.Unsafe<ChannelCreate>({
  type: 'object',
  discriminator: { propertyName: 'kind' },
  required: ['kind'],
  properties: { kind: { type: 'string' } },
  oneOf: [ByKind.web_push, ByKind.email, ByKind.slack],
  description: 'A channel of one of the kinds',
});

export const ChannelChange = closed({
  ...Common,
  position: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_CHANNELS,
      description: 'Place in the order in which channels are tried, from 1',
    }),
  ),
});
export type ChannelChange = Type.Static<typeof ChannelChange>;

export const CodeInput = closed({
  code: Type.String({
    ...patternWithRule('^[0-9]{6}$', 'must be the six digits of the message'),
    examples: ['123456'],
    description: 'The code that was sent to the address',
  }),
});

export const ChannelParams = Type.Object({ channel_id: idOf('channel') });

export const ChannelView = Type.Object(
  {
    channel_id: idOf('channel'),
    kind: word(CHANNEL_KINDS, KIND),
    name: Name,
    target: text('The address, or the host of the push service or incoming webhook'),
    language: Language,
    enabled: Enabled,
    disabled: nullable(
      closed({
        reason: word(['manual', 'gone'], {
          description: 'manual: by a request. gone: the receiver says that the channel no longer exists',
        }),
        at: time('When it was disabled'),
      }),
      'Why and since when nothing is sent; null while enabled',
    ),
    confirmed: Type.Boolean({
      description: 'Whether the address is confirmed; always true for other kinds. No notices before',
    }),
    quiet_hours: nullable(QuietHours, 'Null for none'),
    created_at: CreatedAt,
    updated_at: UpdatedAt,
  },
  { $id: 'NotificationChannel', description: 'A way in which a worker hears of offers and tasks' },
);
