// The worker's settings: how they hear of offers while they are not looking, and what was sent to them.
import type { Page, Worker } from 'playwright-core';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
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
  notifications: true,
  webhookAllowedNetworks: ['127.0.0.0/8'],
  notices: { mail: { url: mail.url, from: 'BioLayer <work@example.com>' } },
});
const ADDRESS = 'ada@example.com';
const CHANNELS = '/v1/worker/notification-channels';
/** For polls: the machine of a test run may be busy. */
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
  await session.detach();
}

/** What the service worker does with a click on the notification of a notice: it opens an address or focuses a window. */
function click(worker: Worker, noticeId: unknown): Promise<string> {
  return worker.evaluate(`(async () => {
    const [notification] = await registration.getNotifications({ tag: '${noticeId}' });
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

/**
 * Delivers until it is shown: Chromium drops a message while the service worker is being started on a busy machine. What was
 * delivered before may be shown beside it, again, even after a click has closed it.
 */
async function arrive(page: Page, worker: Worker, data: Record<string, unknown>): Promise<void> {
  const shown = async () => {
    await deliver(page, data);
    return shownNotifications(worker);
  };
  const wanted = expect.objectContaining({ tag: data.notice_id });
  await expect.poll(shown, { ...SOON, interval: 500 }).toContainEqual(wanted);
}

/** The code in the only message. */
async function sentCode(): Promise<string> {
  await expect.poll(() => mail.received.length, SOON).toBe(1);
  return /code (\d{6})/.exec(plainText(mail.received[0]?.text ?? ''))?.[1] ?? '';
}

describe.skipIf(!hasBrowser)('the settings of a worker', { timeout: 120_000 }, () => {
  let signed: SignedIn;
  beforeEach(async () => {
    signed = await signInWorker(pages, PHONE);
    mail.received.length = 0;
    signed.page.setDefaultTimeout(20_000);
  }, 120_000);
  const row = (name: string) =>
    signed.page
      .getByRole('list', { name: /^Channels/ })
      .getByRole('listitem')
      .filter({ hasText: name });

  async function openSettings(): Promise<void> {
    await signed.page.getByRole('link', { name: 'Settings' }).click();
    await signed.page.getByRole('heading', { name: 'Last notices' }).waitFor();
  }

  /** Adds an e-mail address without the page. */
  async function addAddress(fields: object = {}): Promise<void> {
    const { client } = signed.person;
    const body = { kind: 'email', address: ADDRESS, ...fields };
    const { channel_id } = await client.post<{ channel_id: string }>(CHANNELS, body);
    await client.post(`${CHANNELS}/${channel_id}/confirm`, { code: await sentCode() });
  }

  /** Turns on notices in this browser and sends a test. */
  async function notifyHere(): Promise<{ worker: Worker; payload: Record<string, unknown> }> {
    const { page } = signed;
    const service = await startNoticeReceiver();
    const decrypt = await subscribeAt(page, `${service.url}/push/1`);
    const started = page.context().waitForEvent('serviceworker');
    await page.getByRole('button', { name: 'Notify me in this browser' }).click();
    await row('This browser').getByRole('button', { name: 'Send a test' }).click();
    await expect.poll(() => service.received.length, SOON).toBe(1);
    const [request] = service.received;
    if (request === undefined) throw new Error('nothing was sent');
    return { worker: await started, payload: decrypt(request) };
  }

  it('add an e-mail address, which gets notices once its code is entered', async () => {
    const { page } = signed;
    await openSettings();
    await page.getByText('You get no notices yet.').waitFor();
    await page.getByRole('button', { name: 'Add an e-mail address' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('E-mail address').fill('ada');
    await dialog.getByRole('button', { name: 'Add an e-mail address' }).click();
    await dialog.getByRole('link', { name: /Enter an e-mail address, such as/ }).waitFor();
    await dialog.getByLabel('E-mail address').fill(ADDRESS);
    await dialog.getByRole('button', { name: 'Add an e-mail address' }).click();
    await row(ADDRESS).getByText('Not confirmed').waitFor();

    const code = await sentCode();
    const field = page.getByLabel(`Code that was sent to ${ADDRESS}`);
    await field.fill(code === '000000' ? '000001' : '000000');
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText('The code is wrong or no longer valid.').waitFor();
    await field.fill(code);
    await page.getByRole('button', { name: 'Confirm' }).click();
    await row(ADDRESS).getByText('On', { exact: true }).waitFor();
  });

  it('keep quiet hours, change the order, and turn a channel off', async () => {
    const { page } = signed;
    await addAddress();
    await openSettings();
    await row(ADDRESS).getByRole('button', { name: 'Edit' }).click();
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
    const { data } = await signed.person.client.get<{ data: { kind: string; enabled: boolean }[] }>(CHANNELS);
    expect(data).toMatchObject([
      { kind: 'slack', enabled: false },
      { kind: 'email', enabled: true },
    ]);
  });

  it('turn on notices in this browser; a click on one only leads to its page', async () => {
    const { page } = signed;
    await openSettings();
    const registrations = 'navigator.serviceWorker.getRegistrations().then((all) => all.length)';
    expect(await page.evaluate(registrations)).toBe(0);
    const { worker, payload } = await notifyHere();
    await arrive(page, worker, payload);
    expect(await shownNotifications(worker)).toEqual([
      { title: 'Test notice', tag: payload.notice_id, lang: 'en' },
    ]);

    const calls: string[] = [];
    page.context().on('request', (one) => calls.push(`${one.method()} ${new URL(one.url()).pathname}`));
    const arriveAndClick = async (data: Record<string, unknown>) => {
      await arrive(page, worker, data);
      return click(worker, data.notice_id);
    };
    // This server does not know its public URL, so that the notice leads to the start of the portal.
    expect(await click(worker, payload.notice_id)).toBe(`opens ${pages.api.url}/work`);
    const here = { ...payload, notice_id: 'other', url: `${pages.api.url}/work/settings` };
    // The window of a busy machine may answer the service worker too late.
    await expect.poll(() => arriveAndClick(here), SOON).toBe('focuses');
    const hostile = { ...payload, notice_id: 'hostile', url: 'https://elsewhere.example/work' };
    expect(await arriveAndClick(hostile)).toBe(`opens ${pages.api.url}/work`);
    expect(calls.filter((one) => !one.startsWith('GET '))).toEqual([]);

    await row('This browser').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('button', { name: 'Notify me in this browser' }).waitFor();
    await expect.poll(() => page.evaluate(registrations), SOON).toBe(0);
  });

  it('show what was sent, in German too', async () => {
    const { page, person } = signed;
    const slack = { kind: 'slack', url: 'https://hooks.example.com/services/secret', enabled: false };
    await person.client.post(CHANNELS, slack);
    await addAddress({ quiet_hours: { start: '22:30', end: '07:00', time_zone: 'Europe/London' } });
    await openSettings();
    await notifyHere();
    await page.reload();
    const notices = page.getByRole('region', { name: 'Last notices' });
    await notices.getByText('Web Push: sent').waitFor();
    await notices.getByText('E-mail: sent').waitFor();
    await expectAccessible(signed);
    await picture(page, 'work-settings-390');
    await page.getByLabel('Language', { exact: true }).selectOption('de');
    await page.getByRole('heading', { name: 'Letzte Benachrichtigungen' }).waitFor();
  });
});
