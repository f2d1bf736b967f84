// The first minutes with the pages, as a person has them: the server is started, the printed links are opened, a task goes from
// the worker's phone to the console and back, and is completed.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { closeContexts, DESKTOP, hasBrowser, newContext, PHONE, sizeOf } from '../support/chromium.ts';
import { picture, watchPage } from '../support/pages.ts';
import { startProcess } from '../support/processes.ts';

const TITLE = 'Check the exit nearest to you';

/** Starts what script/server starts. @returns the links that it prints */
async function startServer(): Promise<{ url: string; work: string; console: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'biolayer-portal-'));
  // script/server would also install packages.
  const server = startProcess(process.execPath, ['dist/src/server.js'], {
    DATA_DIR: dataDir,
    PORT: '0',
    REDIS_URL: '',
  });
  onTestFinished(async () => {
    server.process.kill('SIGTERM');
    await server.ended;
    await rm(dataDir, { recursive: true });
  });
  const { url = '' } = await server.ready;
  const link = (page: string) => new RegExp(`${url}/${page}/sign-in#\\S+`).exec(server.stdout())?.[0] ?? '';
  return { url, work: link('work'), console: link('console') };
}

/** A photo as a camera makes it. */
async function photo(context: BrowserContext): Promise<Buffer> {
  const page = await context.newPage();
  await page.setViewportSize({ width: 480, height: 360 });
  await page.setContent(
    '<!doctype html><body style="margin:0;height:100vh;display:grid;place-items:center;background:linear-gradient(#cdd6dd,#78899a)"><b style="padding:1rem 2rem;background:#0a7a43;color:#fff;font:700 3rem sans-serif">EXIT</b>',
  );
  const image = await page.screenshot({ type: 'jpeg' });
  await page.close();
  return image;
}

describe.skipIf(!hasBrowser)('after script/server', () => {
  it('a person does the task of the demo, and a member sends it back and approves it', {
    timeout: 180_000,
  }, async () => {
    const server = await startServer();
    onTestFinished(closeContexts);
    const open = async (link: string, width: number): Promise<{ page: Page; faults: string[] }> => {
      const page = await (await newContext({ width })).newPage();
      page.setDefaultTimeout(30_000);
      const faults = watchPage(page, server.url);
      await page.goto(link);
      await page.getByRole('button', { name: /^Sign in/ }).click();
      return { page, faults };
    };

    const { page: phone, faults: phoneFaults } = await open(server.work, PHONE);
    const jpeg = await photo(phone.context());
    await phone.getByRole('button', { name: 'Go available' }).click();
    await phone.getByRole('article', { name: TITLE }).waitFor();
    await picture(phone, 'offer-390');
    await phone.getByRole('button', { name: /^Accept/ }).click();
    await phone.getByRole('heading', { name: TITLE, level: 1 }).waitFor();
    await phone.getByRole('group', { name: 'Is the way free?' }).getByLabel('Yes').check();
    await phone.getByRole('group', { name: 'Sign above the door' }).getByLabel('lit').check();
    await phone
      .getByLabel('Choose files')
      .setInputFiles({ name: 'exit.jpg', mimeType: 'image/jpeg', buffer: jpeg });
    await phone.getByRole('button', { name: 'Preview of exit.jpg' }).waitFor();
    await phone.getByText(/Draft saved at/).waitFor();
    await phone.getByRole('button', { name: 'Dismiss' }).click();
    await phone.setViewportSize(sizeOf(DESKTOP));
    await phone.mouse.wheel(0, -5000);
    await picture(phone, 'portal-1280');
    await phone.setViewportSize(sizeOf(PHONE));
    await phone.getByRole('button', { name: 'Submit' }).click();
    await phone.getByText('Submitted.').waitFor();

    const { page: desk, faults: deskFaults } = await open(server.console, DESKTOP);
    await desk.getByRole('heading', { name: 'Overview' }).waitFor();
    await desk.locator('canvas').first().waitFor();
    await picture(desk, 'overview-1280');
    await desk.getByRole('navigation').getByRole('link', { name: 'Review' }).click();
    await desk.getByRole('heading', { name: TITLE }).waitFor();
    await desk.locator('img.evidence-thumbnail').first().waitFor();
    await desk.keyboard.press('w');
    await desk.getByLabel('Feedback to the worker').fill('Please estimate the width of the door too.');
    await picture(desk, 'review-1280');
    await desk.getByRole('button', { name: 'Send back and go on' }).click();
    await desk.getByText('Nothing waits for a review').waitFor();

    await phone.getByRole('link', { name: /Sent back/ }).click();
    await phone.getByText('Please estimate the width of the door too.').waitFor();
    await phone.getByLabel('Width of the door').fill('90');
    await picture(phone, 'rework-390');
    await phone.getByRole('button', { name: 'Submit' }).click();
    await phone.getByText('Submitted.').waitFor();

    // It arrives by itself.
    await desk.getByRole('heading', { name: TITLE }).waitFor();
    await desk.getByText('90', { exact: true }).waitFor();
    await desk.keyboard.press('a');
    await desk.keyboard.press('5');
    await desk.keyboard.press('Control+Enter');
    await desk.getByText('Nothing waits for a review').waitFor();
    await desk.getByRole('navigation').getByRole('link', { name: 'Tasks' }).click();
    await desk.getByRole('link', { name: TITLE }).click();
    await desk.getByRole('heading', { name: TITLE }).waitFor();
    await desk.getByText('Completed', { exact: true }).first().waitFor();
    await picture(desk, 'completed-1280');
    expect([phoneFaults, deskFaults]).toEqual([[], []]);
  });
});
