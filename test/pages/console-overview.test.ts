// The overview of the console, as a person uses it.
import { describe, expect, it } from 'vitest';
import { startCallbackReceiver } from '../support/callback-receiver.ts';
import { DESKTOP, hasBrowser, PHONE, sizeOf } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { expectAccessibleAtBothWidths, pagesOfFile, picture } from '../support/pages.ts';
import { createTaskIn, taskBody } from '../support/workers.ts';

const pages = pagesOfFile({ webhookAllowedNetworks: ['127.0.0.0/8'] });

async function createTasks(): Promise<void> {
  const { api, org } = pages;
  await Promise.all([
    createTaskIn(api, org, 'completed', { domain: 'billing' }),
    createTaskIn(api, org, 'completed', { domain: 'support' }),
    createTaskIn(api, org, 'failed', { domain: 'support' }),
    createTaskIn(api, org, 'submitted', { domain: 'billing' }),
    createTaskIn(api, org, 'started', { domain: 'billing', sla: { urgency: 'critical' } }),
    createTaskIn(api, org, 'queued', { domain: 'insurance_claims', sla: { urgency: 'high' } }),
  ]);
}

describe.skipIf(!hasBrowser)('the overview', { timeout: 120_000 }, () => {
  it('shows numbers and plots without a fault', async () => {
    await createTasks();
    const { client } = pages.org;
    const receiver = await startCallbackReceiver((_, nth) => ({ status: nth === 1 ? 503 : 204 }));
    for (const max_retries of [0, 1, 1, 1])
      await client.post('/v1/tasks', {
        ...taskBody({ domain: 'billing' }),
        handoff: {
          callback_url: receiver.url,
          events: ['task.created'],
          retry_policy: { max_retries, backoff_seconds: 1 },
        },
      });
    await expect
      .poll(() => client.get<{ totals: object }>('/v1/stats/deliveries'), { timeout: 15_000 })
      .toMatchObject({ totals: { succeeded: 3, retried: 3, exhausted: 1 } });
    const opened = await openConsole(pages, '/console', { width: PHONE });
    const { page } = opened;
    await page.getByRole('link', { name: 'In review 1' }).waitFor();
    await page.getByRole('img', { name: 'Throughput' }).locator('canvas').waitFor();
    await page.getByRole('img', { name: 'Deliveries' }).locator('canvas').waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-overview', true);
    await page.emulateMedia({ colorScheme: 'dark' });
    for (const width of [PHONE, DESKTOP]) {
      await page.setViewportSize(sizeOf(width));
      await picture(page, `console-overview-dark-${width}`, true);
    }
  });

  it('follows new tasks, and leads to them', async () => {
    const { page } = await openConsole(pages, '/console', { role: 'viewer' });
    await page.getByText('Live', { exact: true }).waitFor();
    const waiting = page.getByRole('link', { name: /^Waiting/ });
    await waiting.waitFor();
    const before = Number((await waiting.textContent())?.replace(/\D/g, ''));
    await pages.org.client.post('/v1/tasks', taskBody({ title: 'A new one', sla: { urgency: 'low' } }));
    await page.getByRole('link', { name: `Waiting ${before + 1}` }).waitFor();
    await page.getByRole('link', { name: /^Low/ }).click();
    await page.getByRole('link', { name: 'A new one' }).waitFor();
    await page.goBack();
    await page.getByText('30 days').click();
    await page.getByText('Numbers').first().click();
    await page.getByRole('columnheader', { name: 'Created' }).waitFor();
  });

  it('has the account of the member, in German too, and signs out', async () => {
    const { page } = await openConsole(pages, '/console', { locale: 'de-DE', width: PHONE });
    await page.getByRole('heading', { name: 'Übersicht' }).waitFor();
    await page.getByRole('button', { name: /^Konto: Ada/ }).click();
    await page.getByText('Inhaber').waitFor();
    await page.getByRole('button', { name: 'Abmelden' }).click();
    await page.getByRole('heading', { name: 'An der Konsole anmelden' }).waitFor();
    await page.goto(`${pages.api.url}/console/tasks`);
    await page.getByRole('heading', { name: 'An der Konsole anmelden' }).waitFor();
    expect(await page.getByRole('navigation').count()).toBe(0);
  });
});
