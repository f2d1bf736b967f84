// The worker's settings: how they hear of offers while they are not looking, and what was sent to them.
import type { Page, Worker } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasBrowser, PHONE } from '../support/chromium.ts';
import {
  type MailServer,
  plainText,
  startMailServer,
  startNoticeReceiver,
  subscribe,
} from '../support/notices.ts';
import { expectAccessible, pagesOfFile, picture } from '../support/pages.ts';
import { type SignedIn, signInWorker } from '../support/portal.ts';

const mail: MailServer = await startMailServer();
afterAll(() => mail.close());
const pages = pagesOfFile({
  webhookAllowedNetworks: ['127.0.0.0/8'],
  notices: { mail: { url: mail.url, from: 'BioLayer <work@example.com>' } },
});
const SOON = { timeout: 20_000 };

/** Gives the page a subscription at a local push service: that of the browser's vendor cannot be reached here. */
async function subscribeAt(page: Page, endpoint: string) {
  const { subscription, decrypt } = subscribe(endpoint);
  await page.context().grantPermissions(['notifications'], { origin: pages.api.url });
  await page.evaluate(
    `PushManager.prototype.subscribe = async () => ({ toJSON: () => (${JSON.stringify(subscription)}) })`,
  );
  return decrypt;
}

/** Delivers a push message to the service worker of the page, as the browser does when one arrives. */
async function deliver(page: Page, data: unknown): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const registered = new Promise<string>((resolve) => {
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const [first] = registrations;
      if (first !== undefined) resolve(first.registrationId);
    });
  });
  await session.send('ServiceWorker.enable');
  const registrationId = await registered;
  const message = { origin: pages.api.url, registrationId, data: JSON.stringify(data) };
  await session.send('ServiceWorker.deliverPushMessage', message);
}

/** What the service worker does with a click on its only notification: it opens an address or focuses a window. */
function click(worker: Worker): Promise<string> {
  return worker.evaluate(`(async () => {
    const [notification] = await registration.getNotifications();
    const shown = new Promise((resolve) => {
      clients.openWindow = async (url) => resolve('opens ' + url);
      WindowClient.prototype.focus = async function () { resolve('focuses'); };
    });
    self.dispatchEvent(new NotificationEvent('notificationclick', { notification }));
    return await shown;
  })()`);
}

const shownNotifications = (worker: Worker) =>
  worker.evaluate(
    'registration.getNotifications().then((all) => all.map(({ title, tag, lang }) => ({ title, tag, lang })))',
  );

/** Delivers until it is shown: Chromium drops a message while the service worker is being started on a busy machine. */
async function arrive(page: Page, worker: Worker, data: Record<string, unknown>): Promise<void> {
  const isShown = async () => {
    await deliver(page, data);
    const shown = (await shownNotifications(worker)) as { tag: unknown }[];
    return shown.map((one) => one.tag);
  };
  await expect.poll(isShown, { ...SOON, interval: 500 }).toEqual([data.notice_id]);
}

describe.skipIf(!hasBrowser)('the settings of a worker', { timeout: 120_000 }, () => {
  let signed: SignedIn;
  beforeAll(async () => {
    signed = await signInWorker(pages, PHONE);
    signed.page.setDefaultTimeout(20_000);
    await signed.page.getByRole('link', { name: 'Settings' }).click();
    await signed.page.getByText('You get no notices yet.').waitFor();
  }, 120_000);
  const row = (name: string) =>
    signed.page
      .getByRole('list', { name: /^Channels/ })
      .getByRole('listitem')
      .filter({ hasText: name });

  it('add an e-mail address, which gets notices once its code is entered', async () => {
    const { page } = signed;
    await page.getByRole('button', { name: 'Add an e-mail address' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('E-mail address').fill('ada');
    await dialog.getByRole('button', { name: 'Add an e-mail address' }).click();
    await dialog.getByRole('link', { name: /Enter an e-mail address, such as/ }).waitFor();
    await dialog.getByLabel('E-mail address').fill('ada@example.com');
    await dialog.getByRole('button', { name: 'Add an e-mail address' }).click();
    await row('ada@example.com').getByText('Not confirmed').waitFor();

    await expect.poll(() => mail.received.length, SOON).toBe(1);
    const code = /code (\d{6})/.exec(plainText(mail.received[0]?.text ?? ''))?.[1] ?? '';
    const field = page.getByLabel('Code that was sent to ada@example.com');
    await field.fill(code === '000000' ? '000001' : '000000');
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText('The code is wrong or no longer valid.').waitFor();
    await field.fill(code);
    await page.getByRole('button', { name: 'Confirm' }).click();
    await row('ada@example.com').getByText('On', { exact: true }).waitFor();
  });

  it('keep quiet hours, change the order, and turn a channel off', async () => {
    const { page } = signed;
    await row('ada@example.com').getByRole('button', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('No notices at certain hours').check();
    await dialog.getByLabel('From').fill('07:00');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('link', { name: /Enter the time at which the quiet hours begin/ }).waitFor();
    await dialog.getByLabel('From').fill('22:30');
    await dialog.getByLabel('Send notices of critical tasks').check();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Quiet from 22:30 to 07:00 (Europe/London), except for critical tasks').waitFor();

    await page.getByRole('button', { name: 'Add a Slack webhook' }).click();
    await dialog.getByLabel('URL of the incoming webhook').fill('https://hooks.example.com/services/secret');
    await dialog.getByRole('button', { name: 'Add a Slack webhook' }).click();
    await row('hooks.example.com').getByRole('button', { name: 'Turn off' }).click();
    await row('hooks.example.com').getByText('Off', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Try hooks.example.com earlier' }).click();
    await page.getByRole('button', { name: 'Try hooks.example.com later' }).waitFor();
    const { data } = await signed.person.client.get<{ data: { kind: string; enabled: boolean }[] }>(
      '/v1/worker/notification-channels',
    );
    expect(data).toMatchObject([
      { kind: 'slack', enabled: false },
      { kind: 'email', enabled: true },
    ]);
  });

  it('turn on notices in this browser; a click on one only leads to its page', async () => {
    const { page } = signed;
    const service = await startNoticeReceiver();
    const decrypt = await subscribeAt(page, `${service.url}/push/1`);
    expect(page.context().serviceWorkers()).toEqual([]);
    const started = page.context().waitForEvent('serviceworker');
    await page.getByRole('button', { name: 'Notify me in this browser' }).click();
    const own = row('This browser');
    await own.getByRole('button', { name: 'Send a test' }).click();
    await expect.poll(() => service.received.length, SOON).toBe(1);
    const [request] = service.received;
    if (request === undefined) throw new Error('nothing was sent');
    const payload = decrypt(request);
    const worker = await started;
    await arrive(page, worker, payload);
    expect(await shownNotifications(worker)).toEqual([
      { title: 'Test notice', tag: payload.notice_id, lang: 'en' },
    ]);

    const calls: string[] = [];
    page.context().on('request', (one) => calls.push(`${one.method()} ${new URL(one.url()).pathname}`));
    // This server does not know its public URL, so that the notice leads to the start of the portal.
    expect(await click(worker)).toBe(`opens ${pages.api.url}/work`);
    await arrive(page, worker, { ...payload, notice_id: 'other', url: `${pages.api.url}/work/settings` });
    expect(await click(worker)).toBe('focuses');
    await arrive(page, worker, { ...payload, notice_id: 'hostile', url: 'https://elsewhere.example/work' });
    expect(await click(worker)).toBe(`opens ${pages.api.url}/work`);
    expect(calls.filter((one) => !one.startsWith('GET '))).toEqual([]);
  });

  it('show what was sent, and remove a channel', async () => {
    const { page } = signed;
    await page.reload();
    const notices = page.getByRole('region', { name: 'Last notices' });
    await notices.getByText('Web Push: sent').waitFor();
    await notices.getByText('E-mail: sent').waitFor();
    await expectAccessible(signed);
    await picture(page, 'work-settings-390');
    await row('This browser').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('button', { name: 'Notify me in this browser' }).waitFor();
    const registrations = 'navigator.serviceWorker.getRegistrations().then((all) => all.length)';
    await expect.poll(() => page.evaluate(registrations), SOON).toBe(0);
    await page.getByLabel('Language', { exact: true }).selectOption('de');
    await page.getByRole('heading', { name: 'Letzte Benachrichtigungen' }).waitFor();
  });
});
