// The public JSON of a notification channel.

import type { Channel } from '../../../state/notices/channel.ts';
import { timestamp } from '../../../state/text/time.ts';
import { versionedResponse } from '../../http/etag.ts';
import type { HttpResponse } from '../../http/response.ts';

/** A channel as its worker sees it, without its secrets. */
export function channelView(channel: Channel): object {
  const { channel_id, kind, name, target, language, enabled, disabled, confirmed_at, quiet_hours } = channel;
  return {
    channel_id,
    kind,
    name,
    target,
    language,
    enabled,
    disabled: disabled && { reason: disabled.reason, at: timestamp(disabled.at) },
    confirmed: confirmed_at !== null,
    quiet_hours,
    created_at: timestamp(channel.created_at),
    updated_at: timestamp(channel.updated_at),
  };
}

/** The response with one channel. */
export function channelResponse(channel: Channel, status = 200): HttpResponse {
  const path = `/v1/worker/notification-channels/${channel.channel_id}`;
  return versionedResponse(channel, channelView(channel), path, status);
}
