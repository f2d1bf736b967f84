// What the portal must bear: small and large windows, other directions of writing, keyboards alone, several tabs, restarts of
// the server, and uploads that are cut.
import { randomBytes } from 'node:crypto';
import type { Locator, Page } from 'playwright-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { createSealer } from '../../src/store/redis/sealing.ts';
import { createOrg, startApi } from '../support/api.ts';
import { DESKTOP, hasBrowser, newContext, PHONE } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { type PagesOfFile, pagesOfFile } from '../support/pages.ts';
import { createPoolTask, type SignedIn, signInWorker } from '../support/portal.ts';
import { freshPrefix } from '../support/redis.ts';

const pages = pagesOfFile();
/** 1280 pixels at 400 %; a phone; a desktop; a large screen. */
const WIDTHS = [320, PHONE, DESKTOP, 2560];

/** Widths and directions at which the page is wider than its window. */
async function overflows(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    for (const dir of ['rtl', 'ltr']) {
      const beyond = await page.evaluate(
        `document.documentElement.dir = '${dir}', document.documentElement.scrollWidth - document.documentElement.clientWidth`,
      );
      if (beyond !== 0) found.push(`${new URL(page.url()).pathname} at ${width} ${dir}: ${beyond}`);
    }
  }
  return found;
}

const SCHEMA = {
  type: 'object',
  properties: {
    closed: { type: 'boolean', title: 'Closed?' },
    state: { enum: ['good', 'worn'], title: 'State' },
    remarks: { type: 'string', title: 'Remarks' },
  },
  required: ['closed', 'state', 'remarks'],
};
const output = { expected_format: 'structured_json', schema: SCHEMA, review: { mode: 'manual' } };

/** Opens a task of the worker. */
async function openTask({ page, poolId, person }: SignedIn, on: PagesOfFile = pages): Promise<string> {
  const { task_id } = await createPoolTask(on, poolId, { title: 'Check the gate', output });
  await person.accept(task_id);
  await page.goto(`${on.api.url}/work/tasks/${task_id}`);
  await page.getByLabel('Remarks').waitFor();
  return task_id;
}

/** Gives a file to the page by an event that carries files: a drop on the marked place, or a paste. */
function give(page: Page, name: string, event: 'drop' | 'paste'): Promise<void> {
  return page.evaluate(`{
    const data = new DataTransfer();
    data.items.add(new File(['seen'], '${name}', { type: 'text/plain' }));
    const options = { bubbles: true, cancelable: true };
    if ('${event}' === 'drop') {
      const place = document.querySelector('.drop-zone');
      place.dispatchEvent(new DragEvent('drop', { ...options, dataTransfer: data }));
    } else document.body.dispatchEvent(new ClipboardEvent('paste', { ...options, clipboardData: data }));
  }`);
}

/** Whether an element has the focus; runs in the page. */
function isFocused(element: unknown): boolean {
  const { ownerDocument } = element as { ownerDocument: { activeElement: unknown } };
  return ownerDocument.activeElement === element;
}

describe.skipIf(!hasBrowser)('the portal', { timeout: 120_000 }, () => {
  let signed: SignedIn;
  beforeEach(async () => {
    signed = await signInWorker(pages, DESKTOP, 'available');
    signed.page.setDefaultTimeout(20_000);
  }, 120_000);

  it('fits into windows of 320 to 2560 pixels, from right to left too', async () => {
    const { page } = signed;
    await openTask(signed);
    const found = await overflows(page);
    for (const path of ['/work', '/work/history', '/work/settings']) {
      await page.goto(pages.api.url + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      found.push(...(await overflows(page)));
    }
    expect(found).toEqual([]);
    await page.setViewportSize({ width: DESKTOP, height: 900 });
  });

  it('lets a task be done by keyboard alone', async () => {
    const { page } = signed;
    const task_id = await openTask(signed);
    const { keyboard } = page;
    const tabTo = async (target: Locator) => {
      for (let presses = 0; presses < 60 && !(await target.evaluate(isFocused)); presses += 1)
        await keyboard.press('Tab');
      expect(await target.evaluate(isFocused)).toBe(true);
    };
    await tabTo(page.getByRole('group', { name: 'Closed?' }).getByLabel('Yes'));
    await keyboard.press('Space');
    await tabTo(page.getByRole('group', { name: 'State' }).getByLabel('good'));
    await keyboard.press('ArrowRight');
    await tabTo(page.getByLabel('Remarks'));
    await keyboard.type('By keyboard');
    await keyboard.press('Control+Enter');
    await page.getByText('Submitted.').waitFor();
    expect(await pages.org.client.get(`/v1/tasks/${task_id}`)).toMatchObject({
      submission: { output: { closed: true, state: 'worn', remarks: 'By keyboard' } },
    });
  });

  it('takes files by drop and paste, repeats a cut upload and removes a file', async () => {
    const { page } = signed;
    await openTask(signed);
    const files = page.getByRole('list', { name: 'Evidence' });
    await give(page, 'dropped.txt', 'drop');
    await files.getByRole('button', { name: 'Remove dropped.txt' }).waitFor();
    await give(page, 'pasted.txt', 'paste');
    await files.getByRole('button', { name: 'Remove pasted.txt' }).waitFor();

    await page.route('**/evidence?*', (route) => route.abort('connectionreset'), { times: 1 });
    await give(page, 'cut.txt', 'drop');
    await files.getByRole('button', { name: 'Upload cut.txt again' }).click();
    await files.getByRole('button', { name: 'Download cut.txt' }).waitFor();

    await files.getByRole('button', { name: 'Remove dropped.txt' }).click();
    await files.getByText('dropped.txt').waitFor({ state: 'detached' });
    expect(await files.getByRole('listitem').count()).toBe(2);
  });

  it('shows an offer in two tabs, which share one stream', async () => {
    const { page, poolId } = signed;
    const context = page.context();
    const streams: string[] = [];
    context.on('request', (one) => {
      if (one.url().includes('/v1/worker/stream')) streams.push(one.url());
    });
    await page.goto(`${pages.api.url}/work`);
    await page.getByText('Live', { exact: true }).waitFor();
    const other = await context.newPage();
    await other.goto(`${pages.api.url}/work`);
    await other.getByText('Live', { exact: true }).waitFor();
    await createPoolTask(pages, poolId, { title: 'For both tabs' });
    for (const tab of [page, other]) await tab.getByRole('article', { name: 'For both tabs' }).waitFor();
    expect(streams).toHaveLength(1);
    // The next tab takes over.
    await page.close();
    await expect.poll(() => streams.length, { timeout: 10_000 }).toBe(2);
    await context.close();
  });

  it('reconnects after a restart of the server, and loses no typed word', async () => {
    const same = { processors: true, prefix: freshPrefix(), sealer: createSealer([randomBytes(32)]) };
    const first = await startApi({ ...same, web: { publicUrl: 'own' } });
    const org = await createOrg(first);
    const on: PagesOfFile = {
      ...{ api: first, org },
      async open(path, { cookies = [], ...options } = {}) {
        const page = await (await newContext(options)).newPage();
        await page.context().addCookies(cookies);
        await page.goto(first.url + path);
        return { page, faults: [] };
      },
    };
    const own = await signInWorker(on, DESKTOP, 'available');
    const taskId = await openTask(own, on);
    const { page } = own;
    await page.getByLabel('Remarks').fill('before');
    await page.getByText(/Draft saved at/).waitFor();
    await first.close();
    await page.getByLabel('Remarks').fill('before, meanwhile');
    await page.getByText('No connection.').waitFor();
    const again = await startApi({
      ...same,
      web: { publicUrl: 'own', port: Number(new URL(first.url).port) },
    });
    try {
      await page.getByText('Live', { exact: true }).waitFor();
      await page.getByLabel('Remarks').fill('before, meanwhile, after');
      await expect
        .poll(() => own.person.client.get(`/v1/worker/tasks/${taskId}/draft`), { timeout: 20_000 })
        .toMatchObject({ output: { remarks: 'before, meanwhile, after' } });
    } finally {
      await page.context().close();
      await again.close();
    }
  });
});

describe.skipIf(!hasBrowser)('the console', { timeout: 120_000 }, () => {
  it('fits into windows of 320 to 2560 pixels, from right to left too', async () => {
    const { page } = await openConsole(pages, '/console');
    const found = await overflows(page);
    for (const path of [
      'tasks',
      'review',
      'workers',
      'pools',
      'webhooks',
      'keys',
      'members',
      'audit',
      'settings',
    ]) {
      await page.goto(`${pages.api.url}/console/${path}`);
      await page.getByRole('heading', { level: 1 }).waitFor();
      found.push(...(await overflows(page)));
    }
    expect(found).toEqual([]);
  });
});
