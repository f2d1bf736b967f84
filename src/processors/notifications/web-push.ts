// Web Push (RFC 8030): the request that carries a notice to a browser, encrypted for it (RFC 8291) and signed with the
// key of this installation (RFC 8292). The library makes headers and body; the request itself goes through the address
// guard, because a subscription names any endpoint.

import webPush from 'web-push';
import type { NoticeMessage } from '../../state/notices/message.ts';
import type { VapidKeys } from '../../store/notices/vapid-keys.ts';
import type { SendRequest } from '../webhooks/sender.ts';

/** A subscription as a browser makes it. */
export interface PushSubscription {
  endpoint: string;
  keys: { p256dh: string; auth: string };
}

/** For how long a push service keeps a notice for a browser that is not connected, s. */
const LIFE_SECONDS = 24 * 3600;

/**
 * The request for one notice.
 * @param endsIn milliseconds until the notice is pointless; null for never. A push service drops it then.
 * @throws Error when the subscription is malformed
 */
export function pushRequest(
  subscription: PushSubscription,
  notice: { notice_id: string; kind: string; language: string },
  message: NoticeMessage,
  endsIn: number | null,
  vapid: VapidKeys & { subject: string },
): SendRequest {
  const payload = JSON.stringify({ ...notice, ...message });
  const { endpoint, headers, body } = webPush.generateRequestDetails(subscription, payload, {
    vapidDetails: vapid,
    TTL: endsIn === null ? LIFE_SECONDS : Math.max(1, Math.ceil(endsIn / 1000)),
    urgency: endsIn === null ? 'normal' : 'high',
    // The push service keeps only the newest message of a topic, so an attempt that is repeated is shown once.
    topic: notice.notice_id.replaceAll('-', ''),
    contentEncoding: 'aes128gcm',
  });
  const texts = Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)] as const);
  // The sender counts the bytes itself.
  const kept = texts.filter(([name]) => name.toLowerCase() !== 'content-length');
  return { url: endpoint, headers: Object.fromEntries(kept), body: body ?? '' };
}
