// Webhooks in the console, as a person sets them up and repairs them.
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type { Delivery, WebhookEndpoint } from '../../packages/sdk/src/index.ts';
import type { Page as ListPage, TaskView } from '../support/api.ts';
import { isSigned, startCallbackReceiver } from '../support/callback-receiver.ts';
import { hasBrowser, PHONE } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { expectAccessible, expectAccessibleAtBothWidths, pagesOfFile, picture } from '../support/pages.ts';
import { taskBody } from '../support/workers.ts';

/** For polls: the machine of a test run may be busy. */
const SOON = { timeout: 20_000 };
const pages = pagesOfFile({ webhookAllowedNetworks: ['127.0.0.0/8'] });

/** Creates an endpoint with the form. @returns its secret */
async function createEndpoint(page: Page, url: string, description: string): Promise<string> {
  await page.getByRole('button', { name: 'Create an endpoint' }).click();
  const form = page.getByRole('dialog', { name: 'Create an endpoint' });
  await form.getByRole('button', { name: 'Create an endpoint' }).click();
  await form.getByRole('link', { name: 'URL: Enter an address that starts with https://.' }).click();
  await page.keyboard.type(url);
  await form.getByLabel('Description').fill(description);
  await form.getByLabel('Retries', { exact: true }).fill('0');
  await form.getByRole('button', { name: 'Create an endpoint' }).click();
  const made = page.getByRole('dialog', { name: 'The endpoint is created' });
  const secret = await made.getByLabel('Signing secret').inputValue();
  await made.getByRole('button', { name: 'Done' }).click();
  return secret;
}

describe.skipIf(!hasBrowser)('webhooks', { timeout: 180_000 }, () => {
  it('sets up an endpoint, finds out why deliveries fail, and sends them again', async () => {
    const { client } = pages.org;
    let isBroken = false;
    const receiver = await startCallbackReceiver(() =>
      isBroken ? { status: 500, body: 'out of <b>disk</b>' } : { status: 204 },
    );
    const opened = await openConsole(pages, '/console/webhooks');
    const { page } = opened;
    await page.getByText('No endpoints yet').waitFor();
    const secret = await createEndpoint(page, receiver.url, 'Billing');
    await page.getByRole('link', { name: 'Billing' }).click();
    await page.getByRole('button', { name: 'Send a test event' }).click();
    await page
      .locator('summary', { hasText: 'webhook_endpoint.test' })
      .filter({ hasText: 'Delivered' })
      .waitFor();
    expect(receiver.received.map((one) => isSigned(secret, one))).toEqual([true]);

    isBroken = true;
    await client.post('/v1/tasks', taskBody({ title: 'Lost' }));
    const state = () => client.get<ListPage<WebhookEndpoint>>('/v1/webhook-endpoints');
    await expect.poll(async () => (await state()).data[0]?.failing_since, SOON).toEqual(expect.any(String));
    // The page asks again from time to time. That it does is seen above.
    await page.reload();
    const failed = page.locator('summary', { hasText: 'task.created' }).filter({ hasText: 'Given up' });
    await failed.click();
    await page.locator('details[open]').getByText('out of <b>disk</b>').waitFor();
    await page.getByText('Deliveries fail. Look at the attempts below').waitFor();
    await expectAccessible(opened);
    await picture(page, 'console-endpoint-1280', true);

    isBroken = false;
    await page.locator('details[open]').getByRole('button', { name: 'Send again' }).click();
    await page.getByText('The delivery is sent again.').waitFor();
    await expect
      .poll(() => receiver.received.filter((one) => one.type === 'task.created').length, SOON)
      .toBe(2);

    await page.getByRole('button', { name: 'Replay events' }).click();
    await page.getByLabel('From').fill('2100-01-01T00:00');
    await page.getByRole('dialog').getByRole('button', { name: 'Replay events' }).click();
    await page.getByRole('link', { name: 'From: Enter a time in the past.' }).waitFor();
    await page.getByLabel('From').fill('2026-01-01T00:00');
    await page.getByLabel('All, also those that were delivered').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Replay events' }).click();
    await page.locator('.run', { hasText: 'Completed' }).waitFor();

    await page.getByRole('button', { name: 'Replace the secret' }).click();
    await page.getByLabel('Keep the old secret for').selectOption('1 hour');
    await page.getByRole('dialog').getByRole('button', { name: 'Replace the secret' }).click();
    const next = await page.getByRole('dialog').getByLabel('Signing secret').inputValue();
    expect(next).not.toBe(secret);
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByText('The old secret still signs').waitFor();

    await page.getByRole('button', { name: 'Disable' }).click();
    await page.getByText('Nothing is sent until you enable it.').waitFor();
    await page.getByRole('button', { name: 'Enable' }).click();
    await page.getByText('The endpoint is enabled.').waitFor();
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByLabel('Description').fill('Billing, new');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Billing, new' }).waitFor();
    await page.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.waitForURL('**/console/webhooks');
    expect((await client.get<ListPage<WebhookEndpoint>>('/v1/webhook-endpoints')).data).toEqual([]);
  });

  it('sends failed deliveries again, many at once', async () => {
    const { client } = pages.org;
    let isBroken = true;
    const receiver = await startCallbackReceiver(() => ({ status: isBroken ? 503 : 204 }));
    await client.post('/v1/webhook-endpoints', {
      url: receiver.url,
      description: 'Reports',
      retry_policy: { max_retries: 0 },
    });
    await client.post('/v1/tasks', taskBody({ title: 'Lost' }));
    const opened = await openConsole(pages, '/console/webhooks', { width: PHONE });
    const { page } = opened;
    await page.getByRole('link', { name: 'Reports' }).waitFor();
    await page.getByRole('button', { name: 'Show the secret' }).click();
    await page.getByLabel('Signing secret').waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-webhooks');
    await page.getByRole('tab', { name: 'Failed deliveries' }).click();
    await page.locator('summary', { hasText: receiver.url }).first().waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-failures');
    isBroken = false;
    await page.getByRole('button', { name: 'Send many again' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Those to one endpoint').check();
    await form.getByLabel('Endpoint', { exact: true }).selectOption('Reports');
    await form.getByRole('button', { name: 'Send many again' }).click();
    await page.locator('.run', { hasText: 'Completed' }).first().waitFor();
    await expect.poll(() => page.locator('summary', { hasText: receiver.url }).count(), SOON).toBe(0);
  });

  it('stops what is pending for a callback URL', async () => {
    const { client } = pages.org;
    const receiver = await startCallbackReceiver(() => ({ status: 503 }));
    const { task_id } = await client.post<TaskView>('/v1/tasks', {
      ...taskBody({ title: 'Moved' }),
      handoff: {
        callback_url: receiver.url,
        events: ['task.created'],
        retry_policy: { max_retries: 5, backoff_seconds: 3600 },
      },
    });
    await expect.poll(() => receiver.received.length, SOON).toBe(1);
    const opened = await openConsole(pages, '/console/webhooks', { width: PHONE });
    const { page } = opened;
    await page.getByRole('tab', { name: 'Delivery stops' }).click();
    await page.getByText('No delivery stops yet').waitFor();
    await page.getByRole('button', { name: 'Stop pending deliveries' }).click();
    const form = page.getByRole('dialog');
    const stop = form.getByRole('button', { name: 'Stop pending deliveries' });
    await stop.click();
    await form.getByRole('link', { name: 'Callback URL: Enter the callback URL of the tasks.' }).click();
    await expectAccessible(opened);
    await page.keyboard.type(receiver.url);
    await stop.click();
    await page.locator('.run', { hasText: 'Completed' }).filter({ hasText: '1 stopped' }).waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-stops');
    const [delivery] = (await client.get<ListPage<Delivery>>(`/v1/tasks/${task_id}/deliveries`)).data;
    expect(delivery?.status).toBe('stopped');
  });
});
