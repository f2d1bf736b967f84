// Webhook endpoints.

import type { EventType, WebhookEndpoint } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { usePaged } from '../../shared/api/pages.tsx';
import { queries } from '../../shared/api/queries.tsx';
import { type Versioned, versioned } from '../../shared/api/versioned.ts';

const REFRESH = 15_000;

/** Types of events that are sent when nothing else is chosen; the others are chosen one by one. */
const DEFAULT: readonly EventType[] = [
  'task.created',
  'task.queued',
  'task.matched',
  'task.offered',
  'task.accepted',
  'task.started',
  'task.submitted',
  'task.verified',
  'task.completed',
  'task.failed',
  'task.cancelled',
  'task.sla_breached',
];
const OTHERS: readonly EventType[] = [
  'task.updated',
  'task.assigned',
  'task.requeued',
  'task.question_asked',
  'task.question_answered',
  'task.message_added',
  'task.escalated',
  'task.reported',
  'task.disputed',
];
export const EVENTS = { default: DEFAULT, all: [...DEFAULT, ...OTHERS] } as const;

export function useEndpoints() {
  return usePaged<WebhookEndpoint>(['webhooks', 'endpoints'], (page) => api.webhookEndpoints.list(page), {
    refreshEvery: REFRESH,
  });
}

export function readEndpoint(id: string): Promise<Versioned<WebhookEndpoint>> {
  return versioned((client) => client.webhookEndpoints.get(id));
}

export function useEndpoint(id: string) {
  return useQuery({
    queryKey: ['webhooks', 'endpoint', id],
    queryFn: () => readEndpoint(id),
    refetchInterval: REFRESH,
  });
}

/** Renews all that shows endpoints and deliveries. */
export function renewWebhooks(): Promise<void> {
  return queries.invalidateQueries({ queryKey: ['webhooks'] });
}
