// Workers and pools in the console, as a person manages them.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Worker } from '../../packages/sdk/src/index.ts';
import { createPool } from '../support/api.ts';
import { hasBrowser, newContext, PHONE } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { expectAccessible, expectAccessibleAtBothWidths, pagesOfFile, picture } from '../support/pages.ts';
import { createTaskIn, createTestWorker, taskBody } from '../support/workers.ts';

const pages = pagesOfFile();

/** For polls: the machine of a test run may be busy. */
const SOON = { timeout: 20_000 };

const worker = (id: string) => pages.org.client.get<Worker>(`/v1/workers/${id}`);

describe.skipIf(!hasBrowser)('workers and pools', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    const { api, org } = pages;
    await createPool(org.client, { pool_id: 'night', name: 'Night shift' });
    const busy = await createTaskIn(api, org, 'started', { title: 'Read the meter' });
    await org.client.patch(`/v1/workers/${busy.person.worker_id}`, { name: 'Ada Lovelace' });
    const add = (name: string, fields: object) =>
      createTestWorker(api, org.client, { worker_id: name.split(' ')[0], name, ...fields });
    await add('Grace Hopper', { skills: ['welding', 'first aid'], pool_ids: ['night'], rating: 4.5 });
    await add('Alan Turing', { skills: ['welding'], availability: 'away', rating: 2.5, capacity: 4 });
    await add('<img src=x onerror=alert(1)>', { worker_id: 'hostile', availability: 'offline' });
    for (let at = 0; at < 3; at += 1)
      await org.client.post(
        '/v1/tasks',
        taskBody({
          title: `Night check ${at}`,
          requirements: { worker_pool_id: 'night', skills: ['nobody'] },
        }),
      );
  }, 120_000);

  it('lists workers without a fault', async () => {
    const opened = await openConsole(pages, '/console/workers', { width: PHONE });
    await opened.page.getByRole('link', { name: 'Ada Lovelace' }).waitFor();
    await opened.page.getByRole('link', { name: '<img src=x onerror=alert(1)>' }).waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-workers');
    await opened.page.getByRole('link', { name: 'Ada Lovelace' }).click();
    await opened.page.getByRole('link', { name: 'Read the meter' }).waitFor();
    await opened.page.getByText('Not signed in anywhere.').waitFor();
    await opened.page.getByRole('region', { name: 'Notices sent' }).waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-worker', true);
    await opened.page.getByRole('button', { name: 'Edit' }).click();
    await opened.page.getByRole('dialog', { name: 'Edit Ada Lovelace' }).waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-worker-edit');
  });

  it('finds and orders workers, and keeps that in the address', async () => {
    const { page } = await openConsole(pages, '/console/workers');
    const names = () => page.locator('tbody th a').allInnerTexts();
    await page.getByLabel('Skill').fill('welding');
    await page.waitForURL(/skill=welding/);
    await expect.poll(names, SOON).toEqual(['Alan Turing', 'Grace Hopper']);
    await page.getByRole('button', { name: 'Rating' }).click();
    await page.getByRole('button', { name: 'Rating' }).click();
    await expect.poll(names, SOON).toEqual(['Grace Hopper', 'Alan Turing']);
    expect(new URL(page.url()).search).toBe('?skill=welding&order=-rating');
    await page.getByLabel('Quality').selectOption('Rating below 3');
    await expect.poll(names, SOON).toEqual(['Alan Turing']);
    await page.reload();
    await expect.poll(names, SOON).toEqual(['Alan Turing']);
    await page.getByLabel('Availability').selectOption('Offline');
    await page.getByRole('button', { name: 'Remove all filters' }).click();
    await expect.poll(async () => (await names()).length, SOON).toBe(4);
    await page.getByLabel('Load').selectOption('At capacity');
    await expect.poll(names, SOON).toEqual(['Ada Lovelace']);
  });

  it('invites a worker, who signs in with the link', async () => {
    const { page } = await openConsole(pages, '/console/workers');
    await page.getByRole('link', { name: 'Invite a worker' }).click();
    await page.getByRole('button', { name: 'Create worker and link' }).click();
    await page.getByRole('alert').getByRole('link', { name: 'Name: Enter a name.' }).click();
    await page.keyboard.type('Katherine Johnson');
    await page.getByLabel('Id').fill('hostile');
    await page.getByLabel('Night shift').check();
    await page.getByLabel('Skills').fill('orbits, charts');
    await page.getByRole('button', { name: 'Create worker and link' }).click();
    await page.getByText('There is one with this name already. Choose another.').waitFor();
    await page.getByLabel('Id').fill('katherine');
    await page.getByRole('button', { name: 'Create worker and link' }).click();
    await page.getByRole('heading', { name: 'Katherine Johnson can sign in with this link' }).waitFor();
    const link = await page.getByLabel('Sign-in link', { exact: true }).inputValue();
    expect(await worker('katherine')).toMatchObject({ pool_ids: ['night'], skills: ['orbits', 'charts'] });
    await picture(page, 'console-invited');
    const phone = await (await newContext({ width: PHONE })).newPage();
    await phone.goto(link);
    await phone.getByRole('button', { name: 'Sign in' }).click();
    await expect.poll(() => new URL(phone.url()).pathname, SOON).toBe('/work');
    await phone.context().close();
    await page.getByRole('link', { name: 'Go to the worker' }).click();
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.getByText('Not signed in anywhere.').waitFor();
  });

  it('changes a worker whose load changes, and asks when a field has changed meanwhile', async () => {
    const { client } = pages.org;
    const { page } = await openConsole(pages, '/console/workers/Alan');
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByLabel('Capacity').fill('0');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('link', { name: 'Capacity: Enter a whole number from 1 to 1000.' }).waitFor();
    await page.getByLabel('Capacity').fill('5');
    // Not a field of the form: no conflict.
    await client.patch('/v1/workers/Alan', { availability: 'available' });
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.').waitFor();
    expect(await worker('Alan')).toMatchObject({ capacity: 5, availability: 'available' });

    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill('Alan M. Turing');
    await client.patch('/v1/workers/Alan', { skills: ['welding', 'ciphers'] });
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Someone else has changed this worker meanwhile.').waitFor();
    await page.getByText('welding, ciphers').waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Alan M. Turing' }).waitFor();
    // What the person did not touch is not overwritten.
    expect(await worker('Alan')).toMatchObject({ name: 'Alan M. Turing', skills: ['welding', 'ciphers'] });
  });

  it('sets the availability, drains, makes and revokes tokens, and removes', async () => {
    const { page } = await openConsole(pages, '/console/workers/Grace');
    await page.getByRole('radio', { name: 'Away' }).click();
    await page.getByText('Grace Hopper is now Away.').waitFor();
    expect((await worker('Grace')).availability).toBe('away');
    await page.getByRole('button', { name: 'Create a token' }).click();
    const token = await page.getByLabel('Worker token').inputValue();
    const grace = pages.api.client(token);
    expect((await grace.request('GET', '/v1/worker')).status).toBe(200);
    await page.getByRole('button', { name: 'Revoke all tokens' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke all tokens' }).click();
    await page.getByText('All tokens are revoked.').waitFor();
    expect((await grace.request('GET', '/v1/worker')).status).toBe(401);
    await page.getByRole('radio', { name: 'Available' }).click();
    await page.getByText('Grace Hopper is now Available.').waitFor();
    await page.getByRole('button', { name: 'Drain' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
    await page.getByText('The worker gets no new offers.').waitFor();
    await page.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.waitForURL('**/console/workers');
    expect((await pages.org.client.request('GET', '/v1/workers/Grace')).status).toBe(404);
  });

  it('shows pools with load and backlog', async () => {
    const opened = await openConsole(pages, '/console/pools', { width: PHONE });
    const row = opened.page.getByRole('row', { name: /Night shift/ });
    await expect.poll(() => row.textContent(), SOON).toContain('3');
    await expectAccessibleAtBothWidths(opened, 'console-pools');
    await opened.page.getByRole('link', { name: 'Night shift' }).click();
    await opened.page.getByRole('link', { name: 'Night check 0' }).waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-pool', true);
  });

  it('creates, changes and removes a pool', async () => {
    const { client } = pages.org;
    const { page } = await openConsole(pages, '/console/pools');
    await page.getByRole('button', { name: 'Create a pool' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Field team');
    await dialog.getByLabel('Id').fill('field');
    await dialog.getByLabel(/Several workers at once/).check();
    await dialog.getByLabel('Workers asked at once').fill('500');
    await dialog.getByRole('button', { name: 'Create a pool' }).click();
    await dialog.getByRole('link', { name: /Enter a whole number from 1 to 200/ }).waitFor();
    await dialog.getByLabel('Workers asked at once').fill('3');
    await dialog.getByRole('button', { name: 'Create a pool' }).click();
    await page.getByRole('link', { name: 'Field team' }).click();
    await page.getByRole('button', { name: 'Edit' }).click();
    await client.patch('/v1/pools/field', { name: 'Outdoor team' });
    await dialog.getByLabel('Seconds to answer an offer').fill('90');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('Someone else has changed this pool meanwhile.').waitFor();
    await dialog.getByText('Outdoor team').waitFor();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.').waitFor();
    expect(await client.get('/v1/pools/field')).toMatchObject({
      name: 'Field team',
      offer_mode: 'broadcast',
      broadcast_size: 3,
      offer_ttl_seconds: 90,
    });
    await page.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.waitForURL('**/console/pools');
    expect((await client.request('GET', '/v1/pools/field')).status).toBe(404);
  });

  it('offers a viewer nothing that they may not do, and speaks German', async () => {
    const opened = await openConsole(pages, '/console/workers/Alan', { role: 'viewer', locale: 'de-DE' });
    const { page } = opened;
    await page.getByRole('heading', { name: 'Bilanz' }).waitFor();
    for (const name of ['Bearbeiten', 'Auslaufen lassen', 'Entfernen', 'Anmeldelink anlegen'])
      expect(await page.getByRole('button', { name }).count()).toBe(0);
    await expectAccessible(opened);
    await page.goto(`${pages.api.url}/console/keys`);
    await page.getByText('keys:read').waitFor();
  });
});
