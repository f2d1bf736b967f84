// How quick the pages are in Chromium: the list of 100 000 tasks, and the portal on a phone with a slow network. Prints what it
// measures; docs/performance.md has the numbers of one run.
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { hasBrowser, newContext, PHONE } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { cookiesOf, pagesOfFile } from '../support/pages.ts';
import { WebPage } from '../support/web-page.ts';
import { createTestWorker, taskBody } from '../support/workers.ts';

const TASKS = Number(process.env.PAGES_TASKS ?? 100_000);
const BATCH = 500;
const ROUNDS = 5;
/** The most that any step may take, ms. */
const LIMIT = 2000;
/** The most until the portal can be used on the phone, ms. */
const PHONE_LIMIT = 4000;
const DEADLINE = new Date(Date.now() + 24 * 3600_000).toISOString();

const pages = pagesOfFile({ processors: false });

describe.skipIf(!hasBrowser)(`the list of ${TASKS} tasks`, { timeout: 600_000 }, () => {
  const seed = async () => {
    for (let from = 0; from < TASKS; from += 4 * BATCH)
      await Promise.all(
        [0, 1, 2, 3].map((part) =>
          pages.org.client.post('/v1/tasks/batch', {
            tasks: Array.from({ length: BATCH }, (_, at) => bodyOf(from + part * BATCH + at)),
          }),
        ),
      );
  };

  it('shows rows, follows filters and turns pages at once', async () => {
    await seed();
    const { page } = await openConsole(pages, '/console/review');
    const times: Record<string, number[]> = {};
    const add = (name: string, ms: number) => {
      times[name] = [...(times[name] ?? []), Math.round(ms)];
    };
    /** Until the first row is another one than before, and its title ends so. */
    const note = async (name: string, act: () => Promise<unknown>, ending = '') => {
      const before = await page.evaluate(FIRST_ROW);
      const start = performance.now();
      await act();
      await page.evaluate(untilRow(name.startsWith('first') ? '' : String(before), ending));
      add(name, performance.now() - start);
    };
    for (let round = 0; round < ROUNDS; round += 1) {
      const load = (search: string) => () => page.goto(`${pages.api.url}/console/tasks${search}`);
      await note('first rows', load(''));
      await note('first rows of one domain', load('?domain=support'), 'support normal');
      await note(
        'first rows by three filters',
        load('?domain=billing&urgency=critical&status=queued'),
        'critical',
      );
      await note('first rows by deadline', load('?domain=support&order_by=deadline'), 'support normal');
      await note('first rows', load(''));
      await note('another filter', () => chooseUrgency(page, 'Critical'), 'critical');
      await note('first rows', load(''));
      for (let at = 1; at <= 3; at += 1)
        await note('next page', () => page.getByRole('button', { name: 'Next' }).click());
      await note('page before', () => page.getByRole('button', { name: 'Previous' }).click());
      add('longest frame of scrolling', Number(await page.evaluate(SCROLL)));
    }
    const medians = Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
    console.log(JSON.stringify({ times, medians, nodes: await page.locator('*').count() }, null, 1));
    for (const [name, ms] of Object.entries(medians)) expect.soft([name, ms < LIMIT]).toEqual([name, true]);
    expect(await page.getByRole('row').count()).toBe(101);
  });
});

describe.skipIf(!hasBrowser)('the portal on a phone with a throttled network', { timeout: 120_000 }, () => {
  it.each([
    ['4G', 1],
    ['4G', 4],
    ['slow 4G', 1],
    ['slow 4G', 4],
  ] as const)(
    'can be used soon after a cold start: %s, with a processor slowed down %d times',
    async (network, rate) => {
      const { api, org } = pages;
      const person = await createTestWorker(api, org.client, { availability: 'away' });
      const web = new WebPage(api);
      await web.request('POST', '/v1/worker/session', { body: { token: person.client.credential } });
      const loads: Load[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const context = await newContext({ width: PHONE });
        await context.addCookies(cookiesOf(web));
        const page = await context.newPage();
        const session = await context.newCDPSession(page);
        await session.send('Network.enable');
        await session.send('Network.emulateNetworkConditions', NETWORKS[network]);
        await session.send('Emulation.setCPUThrottlingRate', { rate });
        await page.addInitScript(NOTE_USABLE);
        await page.goto(`${api.url}/work`, { waitUntil: 'commit' });
        loads.push((await page.evaluate(USABLE)) as Load);
        await context.close();
      }
      const [usable, painted] = [loads.map((one) => one.usable), loads.map((one) => one.painted)];
      console.log(
        JSON.stringify({ network, rate, usable, painted, requests: loads.at(-1)?.requests }, null, 1),
      );
      expect(median(usable)).toBeLessThan(PHONE_LIMIT);
    },
  );
});

interface Load {
  usable: number;
  painted: number;
  requests: string[];
}

/** Bytes a second, and ms for each request: 9 Mbit/s and 60 ms, and 1.6 Mbit/s and 150 ms. */
const NETWORKS = {
  '4G': { offline: false, latency: 60, downloadThroughput: 1_125_000, uploadThroughput: 1_125_000 },
  'slow 4G': { offline: false, latency: 150, downloadThroughput: 200_000, uploadThroughput: 93_750 },
};

/** Notes when the first button of the page can be pressed, ms from the start of the navigation. */
const NOTE_USABLE = `globalThis.usable = new Promise((done) => {
  const look = () => {
    if (document.querySelector('.desk button:enabled')) setTimeout(() => done(Math.round(performance.now())));
    else requestAnimationFrame(look);
  };
  look();
});`;
const USABLE = `usable.then((at) => ({
  usable: at,
  painted: Math.round(performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1),
  requests: [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map((one) =>
    [Math.round(one.startTime), Math.round(one.responseStart), Math.round(one.responseEnd), one.transferSize, new URL(one.name).pathname].join(' '),
  ),
}))`;

/** The title of the first row that is current. */
const FIRST_ROW = `document.querySelector('.task-table:not(.is-old) tbody .task-link')?.textContent`;

const untilRow = (before: string, ending: string) => `new Promise((done) => {
  const look = () => {
    const title = ${FIRST_ROW};
    if (title && title !== ${JSON.stringify(before)} && title.endsWith('${ending}')) done();
    else requestAnimationFrame(look);
  };
  look();
})`;

/** Scrolls to the end and back, a screen in each frame; the longest time between two frames, ms. */
const SCROLL = `new Promise((done) => {
  let longest = 0, last = performance.now(), way = 1;
  const step = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last); last = now;
    const before = scrollY;
    scrollBy(0, way * innerHeight / 2);
    if (scrollY === before) { if (way === -1) return done(longest); way = -1; }
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})`;

function bodyOf(at: number): object {
  const domain = at % 100 === 0 ? 'support' : 'billing';
  const urgency = at % 1000 === 1 ? 'critical' : 'normal';
  return taskBody({ title: `Task ${at} ${domain} ${urgency}`, domain, sla: { urgency, deadline: DEADLINE } });
}

async function chooseUrgency(page: Page, urgency: string): Promise<void> {
  await page.getByRole('button', { name: 'Filters' }).click();
  await page.getByLabel(urgency, { exact: true }).check();
  await page.getByRole('button', { name: 'Apply filters' }).click();
}

function median(all: readonly number[]): number {
  return all.toSorted((one, other) => one - other)[Math.floor(all.length / 2)] ?? 0;
}
