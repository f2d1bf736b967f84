// The reference at `/docs`, in a browser if one is installed: it renders, has enough contrast, sends a request, and obeys its own policy.
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOrg, startApi, type TestApi } from '../../support/api.ts';
import { closeContexts, DESKTOP, hasBrowser, newContext, PHONE, sizeOf } from '../../support/chromium.ts';
import { violations, watchPage } from '../../support/pages.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(async () => {
  await closeContexts();
  await api.close();
});

test('allows neither inline code nor other origins', async () => {
  const { text, headers } = await api.client(null).request('GET', '/docs');
  expect(headers.get('content-type')).toMatch(/^text\/html/);
  const policy = headers.get('content-security-policy') ?? '';
  expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
  expect(policy).not.toMatch(/unsafe|https?:/);
  expect(text).not.toMatch(/https?:\/\/|style=|onload=/);
});

test('serves the files that the page names, and no others of the package', async () => {
  const client = api.client(null);
  for (const name of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png', 'page.js', 'page.css'])
    expect([name, (await fetch(`${api.url}/docs/${name}`)).status]).toEqual([name, 200]);
  for (const name of [
    'package.json',
    'index.html',
    '../package.json',
    '%2e%2e/package.json',
    'swagger-ui.js',
  ])
    expect([name, (await client.request('GET', `/docs/${name}`)).status]).toEqual([name, 404]);
  const first = await fetch(`${api.url}/docs/swagger-ui.css`);
  const again = await fetch(`${api.url}/docs/swagger-ui.css`, {
    headers: { 'if-none-match': first.headers.get('etag') ?? '' },
  });
  expect(again.status).toBe(304);
  expect((await client.request('POST', '/docs')).outcome).toBe('405 method_not_allowed');
});

// Where there is no browser, the tests above have to do.
describe.runIf(hasBrowser)('in a browser', { timeout: 60_000 }, () => {
  /** Opens the page and an operation, and collects errors, violations of the policy and requests to other origins. */
  async function open(): Promise<{ page: Page; faults: string[] }> {
    const page = await (await newContext()).newPage();
    const faults = watchPage(page, api.url);
    await page.goto(`${api.url}/docs`);
    await page.locator('.opblock-summary-control', { hasText: '/v1/tasks' }).first().click();
    await page.locator('.opblock-body').first().waitFor();
    return { page, faults };
  }

  test('fits large and small windows, without an error or a request to another origin', async () => {
    const { page, faults } = await open();
    for (const width of [DESKTOP, PHONE]) {
      await page.setViewportSize(sizeOf(width));
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      expect(await violations(page, ['color-contrast'])).toEqual([]);
    }
    expect(faults).toEqual([]);
    await page.context().close();
  });

  test('sends a request with the key that was entered', async () => {
    const org = await createOrg(api);
    const { page, faults } = await open();
    await page.locator('.btn.authorize').click();
    await page
      .locator('.auth-container input')
      .first()
      .fill(org.client.credential ?? '');
    await page.locator('.auth-container .btn.authorize').first().click();
    await page.locator('.btn-done').first().click();
    // The page holds only the operations in and near the window.
    await page.getByPlaceholder('Filter by tag or path').fill('/v1/org');
    const operation = page.locator('.opblock-get', { hasText: '/v1/org' }).first();
    await operation.locator('.opblock-summary-control').click();
    await operation.locator('.try-out__btn').click();
    await operation.locator('.execute').click();
    await operation
      .locator('.live-responses-table .response-col_status', { hasText: '200' })
      .first()
      .waitFor();
    expect(await operation.locator('.live-responses-table').textContent()).toContain(org.org_id);
    expect(faults).toEqual([]);
    await page.context().close();
  });
});
