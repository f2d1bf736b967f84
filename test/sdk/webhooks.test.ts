// Webhooks as the SDK reads them.

import { unwrapWebhook, WebhookVerificationError } from '@biolayer/sdk';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const OTHER = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
const BODY = '{"type":"task.completed","timestamp":"2026-01-05T10:00:00.000Z","data":{"task_id":"t"}}';

function signed(body = BODY, secret = SECRET, at = new Date()): Record<string, string> {
  const timestamp = Math.floor(at.getTime() / 1000);
  return {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(timestamp),
    'webhook-signature': new Webhook(secret).sign('msg_1', at, body),
  };
}

test('returns the event of an authentic webhook, from text or bytes, with headers of any kind', () => {
  const headers = signed();
  expect(unwrapWebhook(BODY, headers, SECRET).type).toBe('task.completed');
  expect(unwrapWebhook(new TextEncoder().encode(BODY), new Headers(headers), SECRET).type).toBe(
    'task.completed',
  );
  const capitals = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]),
  );
  expect(unwrapWebhook(BODY, capitals, SECRET).type).toBe('task.completed');
  expect(unwrapWebhook(BODY, headers, [OTHER, SECRET]).type).toBe('task.completed');
});

test('refuses everything else with one error', () => {
  const late = signed(BODY, SECRET, new Date(Date.now() - 10 * 60_000));
  const attempts: [string, Record<string, string | undefined>, string | string[]][] = [
    [BODY.replace('completed', 'failed'), signed(), SECRET],
    [BODY, signed(BODY, OTHER), SECRET],
    [BODY, late, SECRET],
    [BODY, {}, SECRET],
    [BODY, { ...signed(), 'webhook-signature': undefined }, SECRET],
    [BODY, signed(), []],
    ['no json', signed('no json'), SECRET],
  ];
  for (const [body, headers, secret] of attempts)
    expect(() => unwrapWebhook(body, headers, secret)).toThrow(WebhookVerificationError);
});
