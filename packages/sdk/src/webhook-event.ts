// The events that webhooks carry.

import type { FeedEvent } from './generated/client.ts';

export type WebhookEvent = Omit<FeedEvent, 'seq' | 'cursor'>;
