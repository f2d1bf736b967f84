// API keys, members, the organisation and the audit log in the console, as a person manages them.
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Org as OrgView } from '../../packages/sdk/src/index.ts';
import { hasBrowser, newContext, PHONE } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { expectAccessible, expectAccessibleAtBothWidths, pagesOfFile, picture } from '../support/pages.ts';

/** For polls: the machine of a test run may be busy. */
const SOON = { timeout: 20_000 };
const pages = pagesOfFile();

describe.skipIf(!hasBrowser)('access and organisation', { timeout: 120_000 }, () => {
  it('creates an API key with few permissions, replaces and revokes it', async () => {
    const opened = await openConsole(pages, '/console/keys');
    const { page } = opened;
    await page.getByRole('button', { name: 'Create an API key' }).click();
    const form = page.getByRole('dialog');
    await form.getByRole('button', { name: 'Create an API key' }).click();
    await form.getByRole('link', { name: 'Permissions: Choose at least one permission.' }).waitFor();
    await expectAccessible(opened);
    await picture(page, 'console-key-form-1280');
    await form.getByLabel('Name').fill('Billing service');
    await form.getByLabel('See tasks').check();
    await form.getByRole('button', { name: 'Create an API key' }).click();
    const key = await page.getByLabel('Key', { exact: true }).inputValue();
    const program = pages.api.client(key);
    expect((await program.request('GET', '/v1/tasks')).outcome).toBe('200');
    expect((await program.request('GET', '/v1/workers')).outcome).toBe('403 insufficient_scope');
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('button', { name: 'Replace: Billing service' }).click();
    await page.getByLabel('Keep the old key for').selectOption('No time: it is known to others');
    await page.getByRole('dialog').getByRole('button', { name: 'Replace' }).click();
    const next = await page.getByLabel('Key', { exact: true }).inputValue();
    await page.getByRole('button', { name: 'Done' }).click();
    expect((await program.request('GET', '/v1/tasks')).status).toBe(401);
    expect((await pages.api.client(next).request('GET', '/v1/tasks')).outcome).toBe('200');
    for (let left = 2; left > 0; left -= 1) {
      await expect
        .poll(() => page.getByRole('button', { name: 'Revoke: Billing service' }).count(), SOON)
        .toBe(left);
      await page.getByRole('button', { name: 'Revoke: Billing service' }).first().click();
      await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
    await expect
      .poll(() => page.getByRole('button', { name: 'Revoke: Billing service' }).count(), SOON)
      .toBe(0);
    expect((await pages.api.client(next).request('GET', '/v1/tasks')).status).toBe(401);
  });

  it('creates an OAuth client and trusts an issuer', async () => {
    const opened = await openConsole(pages, '/console/keys?tab=clients');
    const { page } = opened;
    await page.getByRole('button', { name: 'Create an OAuth client' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Name').fill('Report app');
    await form.getByLabel('Acts for members who sign in').check();
    await form.getByLabel('See tasks').check();
    await form.getByRole('button', { name: 'Create an OAuth client' }).click();
    await form.getByRole('link', { name: /Where members return to/ }).click();
    await page.keyboard.type('https://app.example.com/callback');
    await form.getByRole('button', { name: 'Create an OAuth client' }).click();
    expect(await page.getByLabel('Client secret').inputValue()).toMatch(/^bls_/);
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('button', { name: 'Replace the secret: Report app' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Replace the secret' }).click();
    expect(await page.getByLabel('Client secret').inputValue()).toMatch(/^bls_/);
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('tab', { name: 'Token issuers' }).click();
    await page.getByRole('button', { name: 'Trust an issuer' }).click();
    await form.getByLabel('Name').fill('Our identity provider');
    await form.getByLabel('Issuer', { exact: true }).fill('https://id.example.com');
    await form.getByLabel('Address of its public keys').fill('https://id.example.com/jwks');
    await form.getByLabel('Scope in the tokens').fill('tasks.read');
    await form.getByLabel('See tasks').check();
    await form.getByRole('button', { name: 'Trust an issuer' }).click();
    await page.getByRole('row', { name: /Our identity provider/ }).waitFor();
    await expectAccessible(opened);
  });

  it('invites a member who can sign in', async () => {
    const opened = await openConsole(pages, '/console/members', { width: PHONE });
    const { page } = opened;
    const email = 'grace@example.com';
    await page.getByRole('button', { name: 'Invite a member' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Name').fill('Grace');
    await form.getByLabel('E-mail address').fill('grace');
    await form.getByRole('button', { name: 'Invite a member' }).click();
    await form.getByRole('link', { name: /Enter an e-mail address/ }).waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-invite-member');
    await form.getByLabel('E-mail address').fill(email);
    await form.getByLabel(/^Reviewer/).check();
    await form.getByRole('button', { name: 'Invite a member' }).click();
    const password = await page.getByLabel('Password').inputValue();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('row', { name: new RegExp(`${email}.*Reviewer`) }).waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-members');

    const other = await (await newContext()).newPage();
    const signIn = new URLSearchParams({ return_to: '/console/members', org: pages.org.org_id });
    await other.goto(`${pages.api.url}/console/sign-in?${signIn}`);
    await other.getByLabel('Email address').fill(email);
    await other.getByLabel('Password').fill(password);
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByText('members:read').waitFor();

    await page.getByRole('button', { name: 'Edit: Grace' }).click();
    await form.getByLabel(/^Manager/).check();
    await form.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('row', { name: new RegExp(`${email}.*Manager`) }).waitFor();
    await other.reload();
    await other.getByRole('row', { name: new RegExp(email) }).waitFor();
    // A manager may see members and not change them.
    expect(await other.getByRole('button', { name: 'Invite a member' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Remove: Grace' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByText('Grace is removed.').waitFor();
    expect((await other.request.get(`${pages.api.url}/console/session`)).status()).toBe(401);
    await other.context().close();
  });

  it('keeps a member from locking themselves out, and shows what the organisation uses', async () => {
    const opened = await openConsole(pages, '/console/settings');
    const { page } = opened;
    await page.getByRole('textbox', { name: 'Networks' }).fill('192.0.2.0/33');
    const save = page.getByRole('region', { name: 'Allowed networks' }).getByRole('button', { name: 'Save' });
    await save.click();
    await page.getByRole('link', { name: /must be a network/ }).waitFor();
    await page.getByRole('textbox', { name: 'Networks' }).fill('192.0.2.0/24');
    await save.click();
    await page.getByText('you would lock yourself out').waitFor();
    await expectAccessible(opened);
    await picture(page, 'console-settings-1280');
    await page.getByRole('textbox', { name: 'Networks' }).fill('192.0.2.0/24\n127.0.0.0/8');
    await save.click();
    await page.getByText('Saved.').waitFor();
    expect((await pages.org.client.get<OrgView>('/v1/org')).ip_allowlist).toEqual([
      '192.0.2.0/24',
      '127.0.0.0/8',
    ]);
  });

  it('finds entries of the audit log and exports it', async () => {
    const opened = await openConsole(pages, '/console/audit', { width: PHONE });
    const { page } = opened;
    await page.locator('summary').first().waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-audit');
    await page.getByLabel('About').selectOption('Members');
    await page.waitForURL(/about=member/);
    await expect
      .poll(
        async () =>
          (await page.locator('summary code').allInnerTexts()).every((one) => one.startsWith('member.')),
        SOON,
      )
      .toBe(true);
    await page.locator('summary').first().click();
    await page.getByRole('button', { name: /All entries of/ }).click();
    await page.waitForURL(/actor=/);
    await page.getByLabel('Id of the thing').fill('nothing');
    await page.getByText('No entry matches these filters').waitFor();
    await page.getByRole('button', { name: 'Remove all filters' }).click();
    await page.getByRole('button', { name: 'Export' }).click();
    const downloading = page.waitForEvent('download');
    await page.getByRole('dialog').getByRole('link', { name: 'Download' }).click();
    const lines = (await readFile(await (await downloading).path(), 'utf8')).trim().split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ org_id: pages.org.org_id });
  });

  it('shows task types with their versions, and leads the operator to the queues', async () => {
    const { client } = pages.org;
    const type = { domain: 'billing', title: 'Read the meter', instructions: '**Read** it.' };
    await client.request('PUT', '/v1/task-types/meter', { body: type });
    await client.request('PUT', '/v1/task-types/meter', { body: { ...type, title: 'Read the water meter' } });
    const opened = await openConsole(pages, '/console/types');
    const { page } = opened;
    await page.getByRole('link', { name: 'meter' }).click();
    await page.getByText('Read the water meter').waitFor();
    await page.getByLabel('Versions').selectOption('Version 1');
    await page.getByText('Read the meter').waitFor();
    await expectAccessible(opened);
    await page.getByRole('link', { name: 'Queues' }).click();
    const link = page.getByRole('link', { name: 'Open the queues' });
    expect(await link.getAttribute('href')).toBe('/admin/queues');
    await expectAccessible(opened);
  });
});
