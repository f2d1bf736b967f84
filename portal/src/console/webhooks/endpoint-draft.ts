// What is typed in the form of an endpoint, and the request that is made of it.

import type { EventType, UpdateWebhookEndpointRequest, WebhookEndpoint } from '@biolayer/sdk';
import type { FieldFault } from '../../shared/forms/use-form.ts';
import type { consoleWebhooks } from '../../shared/i18n/en/console-webhooks.ts';
import { EVENTS } from './endpoint-data.ts';

export interface EndpointDraft {
  url: string;
  description: string;
  events: readonly EventType[];
  /** `Name: value`, one for each line. */
  headers: string;
  max_retries: string;
  backoff_seconds: string;
  ordered: boolean;
  signature: 'v1' | 'v1a';
}
/** The server names some fields otherwise: `retry_policy` holds both numbers. */
export type EndpointField = keyof (typeof consoleWebhooks)['fields'];

export const EMPTY_ENDPOINT: EndpointDraft = {
  url: '',
  description: '',
  events: EVENTS.default,
  headers: '',
  max_retries: '6',
  backoff_seconds: '30',
  ordered: false,
  signature: 'v1',
};

export function draftOf(endpoint: WebhookEndpoint): EndpointDraft {
  return {
    url: endpoint.url,
    description: endpoint.description,
    events: endpoint.events,
    headers: '',
    max_retries: String(endpoint.retry_policy.max_retries),
    backoff_seconds: String(endpoint.retry_policy.backoff_seconds),
    ordered: endpoint.ordering === 'per_task',
    signature: endpoint.signature,
  };
}

export function fieldsOf(draft: EndpointDraft): UpdateWebhookEndpointRequest & { url: string } {
  const headers = headersOf(draft.headers);
  return {
    url: draft.url.trim(),
    description: draft.description.trim(),
    events: [...draft.events],
    retry_policy: {
      max_retries: Number(draft.max_retries),
      backoff_seconds: Number(draft.backoff_seconds),
    },
    ordering: draft.ordered ? 'per_task' : 'none',
    ...(headers !== null && Object.keys(headers).length > 0 && { headers }),
  };
}

/** The headers of the lines; null when a line is none. */
function headersOf(text: string): Record<string, string> | null {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const pairs = lines.map((line) => /^\s*([^\s:]+)\s*:\s*(.*?)\s*$/.exec(line));
  if (pairs.some((pair) => pair === null)) return null;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? '']));
}

export function draftFaults(
  draft: EndpointDraft,
  { faults }: typeof consoleWebhooks,
): FieldFault<EndpointField>[] {
  const found: FieldFault<EndpointField>[] = [];
  const isWhole = (text: string, least: number, most: number) =>
    /^\d+$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;
  // http is for receivers in networks that the operator allows: the server decides.
  if (!/^https?:\/\/[^\s/]/.test(draft.url.trim())) found.push({ field: 'url', message: faults.url });
  if (draft.events.length === 0) found.push({ field: 'events', message: faults.events });
  if (headersOf(draft.headers) === null) found.push({ field: 'headers', message: faults.headers });
  if (!isWhole(draft.max_retries, 0, 20)) found.push({ field: 'max_retries', message: faults.max_retries });
  if (!isWhole(draft.backoff_seconds, 1, 3600))
    found.push({ field: 'backoff_seconds', message: faults.backoff_seconds });
  return found;
}
