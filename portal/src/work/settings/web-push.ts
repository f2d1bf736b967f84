// Notices in this browser by Web Push. The service worker is registered only when the worker turns this on.

import type { NotificationChannel } from '@biolayer/sdk';
import { api } from '../../shared/api/client.ts';
import type { Language } from '../../shared/i18n/languages.ts';

const SERVICE_WORKER = '/work/service-worker.js';
const SCOPE = '/work/';

/** Why a browser shows no notices; a key of the messages. */
export class PushRefused extends Error {
  readonly reason: 'unsupported' | 'denied' | 'noPush';

  constructor(reason: PushRefused['reason']) {
    super(reason);
    this.reason = reason;
  }
}

/** Where this browser keeps the id of its channel: the API does not show which subscription a channel has. */
function storedAt(workerId: string): string {
  return `biolayer-push-${workerId}`;
}

/** The id of the channel that reaches this browser; null for none. */
export function ownChannelId(workerId: string): string | null {
  return localStorage.getItem(storedAt(workerId));
}

/** Asks for the permission, subscribes and adds the channel. @throws PushRefused, ApiError, ConnectionError */
export async function turnOnPush(workerId: string, language: Language): Promise<void> {
  if (!('serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window))
    throw new PushRefused('unsupported');
  if ((await Notification.requestPermission()) !== 'granted') throw new PushRefused('denied');
  const { public_key } = await api.notificationChannels.getWebPushKey();
  const registration = await navigator.serviceWorker.register(SERVICE_WORKER, { scope: SCOPE });
  await activated(registration);
  const subscription = await subscribe(registration.pushManager, public_key);
  const { endpoint = '', keys } = subscription.toJSON();
  const { p256dh = '', auth = '' } = keys ?? {};
  const channel = await api.notificationChannels.create({
    kind: 'web_push',
    name: browserName(),
    language,
    subscription: { endpoint, keys: { p256dh, auth } },
  });
  localStorage.setItem(storedAt(workerId), channel.channel_id);
}

/**
 * Waits until the service worker is active: before that there are no subscriptions. `navigator.serviceWorker.ready` would wait
 * for ever in a window that was opened at `/work`, which is outside the scope.
 */
async function activated({ active, waiting, installing }: ServiceWorkerRegistration): Promise<void> {
  const worker = active ?? waiting ?? installing;
  while (worker !== null && worker.state !== 'activated') {
    if (worker.state === 'redundant') throw new PushRefused('noPush');
    await new Promise((resolve) => worker.addEventListener('statechange', resolve, { once: true }));
  }
}

async function subscribe(pushManager: PushManager, applicationServerKey: string): Promise<PushSubscription> {
  const options = { userVisibleOnly: true, applicationServerKey };
  try {
    return await pushManager.subscribe(options);
  } catch (error) {
    const isOther = error instanceof DOMException && error.name === 'InvalidStateError';
    const before = isOther ? await pushManager.getSubscription() : null;
    if (before === null) throw new PushRefused('noPush');
    // It was made with another key of the server.
    await before.unsubscribe();
    return pushManager.subscribe(options);
  }
}

/** Removes a channel; when it is that of this browser, the subscription too. */
export async function removeChannel(workerId: string, { channel_id }: NotificationChannel): Promise<void> {
  await api.notificationChannels.delete(channel_id);
  if (channel_id !== ownChannelId(workerId)) return;
  localStorage.removeItem(storedAt(workerId));
  const registration = await navigator.serviceWorker.getRegistration(SCOPE);
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
  await registration?.unregister();
}

const BROWSERS: readonly [mark: RegExp, name: string][] = [
  [/Firefox\//, 'Firefox'],
  [/Edg\//, 'Edge'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari'],
];

function browserName(): string {
  return BROWSERS.find(([mark]) => mark.test(navigator.userAgent))?.[1] ?? '';
}
