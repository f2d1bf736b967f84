// The notification channels of the calling worker. Their order is the order in which notices try them.

import { MAX_CHANNELS, moved } from '../../../state/notices/channel.ts';
import { loadChannels } from '../../../store/notices/channels.ts';
import { vapidKeys } from '../../../store/notices/vapid-keys.ts';
import { quotaExceeded } from '../../access/usage.ts';
import { wholeList } from '../../http/list.ts';
import { closed, pageOf, text } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { channelErrors, newChannel, registeredAgain, sameTarget, withSettings } from './channel-input.ts';
import { channelIn, updateChannels, withChannel } from './channel-update.ts';
import { channelResponse, channelView } from './channel-view.ts';
import { ChannelChange, ChannelCreate, ChannelParams, ChannelView } from './channels.schema.ts';
import { withCode } from './confirmation.ts';

const access = { kind: 'worker' } as const;
const tag = 'Notifications';
const path = '/v1/worker/notification-channels';

export const notificationChannelRoutes = [
  route({
    method: 'GET',
    path,
    access,
    tag,
    operationId: 'listNotificationChannels',
    summary: 'List my notification channels',
    description: 'In the order in which notices try them.',
    responses: { 200: { description: 'All channels, on one page', schema: pageOf(ChannelView) } },
    async handler({ deps, principal }) {
      const { channels } = await loadChannels(deps.db, principal.org_id, principal.worker_id);
      return wholeList(channels.map(channelView));
    },
  }),
  route({
    method: 'POST',
    path,
    access,
    tag,
    operationId: 'createNotificationChannel',
    summary: 'Add a notification channel',
    description:
      'It becomes the last one. An e-mail address gets a code that confirms it. A target that I have already is updated: 200.',
    body: ChannelCreate,
    rules: async (body, { deps }) => channelErrors(deps, body),
    responses: {
      200: { description: 'The channel that I had, updated', schema: ChannelView, headers: ['ETag'] },
      201: { description: 'The new channel', schema: ChannelView, headers: ['ETag', 'Location'] },
    },
    errors: ['quota_exceeded'],
    async handler(call) {
      const { deps, principal, body } = call;
      return updateChannels(call, (before) => {
        const known = sameTarget(before, body);
        if (known !== undefined) {
          const channel = registeredAgain(deps, principal, known, body);
          return { after: withChannel(before, channel), response: channelResponse(channel) };
        }
        const { length } = before.channels;
        if (length >= MAX_CHANNELS)
          throw quotaExceeded('notification_channels', 'The worker', 'channels', length, MAX_CHANNELS);
        const channel = newChannel(deps, principal, body);
        const after = { ...before, channels: [...before.channels, channel] };
        const response = channelResponse(channel, 201);
        if (channel.kind !== 'email') return { after, response };
        return { ...withCode(deps, principal, after, channel), response };
      });
    },
  }),
  route({
    method: 'GET',
    path: `${path}/web-push-key`,
    access,
    tag,
    operationId: 'getWebPushKey',
    summary: 'Retrieve the public key for Web Push',
    description: 'The `applicationServerKey` with which a browser subscribes.',
    responses: {
      200: {
        description: 'The key',
        schema: closed({ public_key: text('Point on P-256, base64url') }),
      },
    },
    async handler({ deps: { db, sealer } }) {
      return { status: 200, body: { public_key: (await vapidKeys(db, sealer)).publicKey } };
    },
  }),
  route({
    method: 'GET',
    path: `${path}/{channel_id}`,
    access,
    tag,
    operationId: 'getNotificationChannel',
    summary: 'Retrieve a notification channel',
    description: 'Shows the channel without its secrets.',
    params: ChannelParams,
    responses: { 200: { description: 'The channel', schema: ChannelView, headers: ['ETag'] } },
    async handler({ deps, principal, params }) {
      const channels = await loadChannels(deps.db, principal.org_id, principal.worker_id);
      return channelResponse(channelIn(channels, params.channel_id));
    },
  }),
  route({
    method: 'PATCH',
    path: `${path}/{channel_id}`,
    access,
    versioned: true,
    tag,
    operationId: 'updateNotificationChannel',
    summary: 'Update a notification channel',
    description: 'Changes the given fields; `position` moves the channel in the order.',
    params: ChannelParams,
    body: ChannelChange,
    rules: async (body, { deps }) => channelErrors(deps, body),
    responses: { 200: { description: 'The channel', schema: ChannelView, headers: ['ETag'] } },
    async handler(call) {
      const { deps, params, body, ifMatch } = call;
      const { position, ...settings } = body;
      return updateChannels(call, (before) => {
        const known = channelIn(before, params.channel_id, ifMatch);
        const channel = withSettings(known, settings, deps.db.clock.now());
        const { channels, ...rest } = withChannel(before, channel);
        const ordered = position === undefined ? channels : moved(channels, channel.channel_id, position);
        return { after: { ...rest, channels: ordered }, response: channelResponse(channel) };
      });
    },
  }),
  route({
    method: 'DELETE',
    path: `${path}/{channel_id}`,
    access,
    versioned: true,
    tag,
    operationId: 'deleteNotificationChannel',
    summary: 'Remove a notification channel',
    description: 'Nothing is sent through it any longer.',
    params: ChannelParams,
    responses: { 204: { description: 'Removed' } },
    async handler(call) {
      const { params, ifMatch } = call;
      return updateChannels(call, (before) => {
        const { channel_id } = channelIn(before, params.channel_id, ifMatch);
        const channels = before.channels.filter((one) => one.channel_id !== channel_id);
        return { after: { ...before, channels }, response: { status: 204 } };
      });
    },
  }),
];
