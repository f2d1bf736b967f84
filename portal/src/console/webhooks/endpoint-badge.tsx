// Whether events are sent to an endpoint, and whether they arrive.

import type { WebhookEndpoint } from '@biolayer/sdk';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Badge } from '../../shared/ui/badge.tsx';
import { useConsoleWebhooks } from '../messages.ts';

type Reason = keyof ReturnType<typeof useConsoleWebhooks>['disabled'];

/** Why an endpoint is disabled, as far as this page knows the reason. */
export function reasonOf(endpoint: WebhookEndpoint): Reason {
  const reason = endpoint.disabled?.reason;
  return reason === 'gone' || reason === 'failing' ? reason : 'manual';
}

export function EndpointBadge({ endpoint }: { endpoint: WebhookEndpoint }) {
  const text = useConsoleWebhooks();
  const format = useFormat();
  if (!endpoint.enabled) {
    const reason = reasonOf(endpoint);
    return <Badge tone={reason === 'manual' ? 'grey' : 'red'}>{text.disabled[reason]}</Badge>;
  }
  if (endpoint.failing_since !== null)
    return <Badge tone="amber">{text.failingSince(format.relative(endpoint.failing_since))}</Badge>;
  return (
    <Badge tone="green">
      <span className="dot" aria-hidden="true" />
      {text.enabled}
    </Badge>
  );
}
