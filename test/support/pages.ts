// The pages in Chromium, against a real API with its processors. Each page that is opened collects what must not happen:
// errors, violations of the policy, requests to other origins.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { type ApiOptions, createOrg, type Org, startApi, type TestApi } from './api.ts';
import { closeContexts, DESKTOP, newContext, PHONE, sizeOf, type WindowOptions } from './chromium.ts';
import type { WebPage } from './web-page.ts';

/** `SCREENSHOTS=1 script/test test/pages` renews the pictures of the documentation; another value names another folder. */
const { SCREENSHOTS } = process.env;
const PICTURES = SCREENSHOTS === '1' ? 'docs/images' : SCREENSHOTS;

export interface OpenedPage {
  page: Page;
  /** What must not happen; checked by `expectAccessible`. */
  faults: string[];
}

/** Cookies as Playwright takes them. */
type Cookies = Parameters<BrowserContext['addCookies']>[0];

export interface PagesOfFile {
  api: TestApi;
  /** The org of a test; another one when the test is tried again, which finds nothing of its first try. */
  org: Org;
  /**
   * Opens a path of the API's origin in a window with these options and without cookies and storage. Calls with the same options
   * get the same window, in which the code of the pages is loaded already; what was open there is gone.
   */
  open(path: string, options?: WindowOptions & { cookies?: Cookies }): Promise<OpenedPage>;
}

/**
 * Starts the API with its processors for the tests of this file, and ends them afterwards.
 * @param notifications whether the browser must be able to show notifications
 */
export function pagesOfFile({
  notifications = false,
  ...options
}: ApiOptions & Pick<WindowOptions, 'notifications'> = {}): PagesOfFile {
  const windows = new Map<string, OpenedPage>();
  const given: { api?: TestApi; org?: Org } = {};
  const required = <Value>(value: Value | undefined): Value => {
    if (value === undefined) throw new Error('used before the first test');
    return value;
  };
  beforeAll(async () => {
    given.api = await startApi({
      processors: true,
      ...options,
      web: { publicUrl: 'own', ...options.web },
    });
  });
  beforeEach(async () => {
    given.org = await createOrg(required(given.api));
  });
  afterAll(async () => {
    await Promise.all([closeContexts(), given.api?.close()]);
  });

  return {
    get api() {
      return required(given.api);
    },
    get org() {
      return required(given.org);
    },
    async open(path, { width = DESKTOP, locale = 'en-GB', cookies = [] } = {}) {
      const { url } = required(given.api);
      const key = `${width} ${locale}`;
      const known = windows.get(key);
      const opened =
        known?.page.isClosed() === false ? known : await newWindow(url, { width, locale, notifications });
      windows.set(key, opened);
      const { page, faults } = opened;
      await empty(page);
      faults.length = 0;
      await page.context().addCookies(cookies);
      await page.emulateMedia({ colorScheme: 'light' });
      await page.setViewportSize(sizeOf(width));
      await page.goto(url + path);
      return opened;
    },
  };
}

/** The cookies of a page that was signed in without the browser, for the browser. */
export function cookiesOf({ url, cookies }: WebPage): Cookies {
  return [...cookies].map(([name, value]) => ({ name, value, url, httpOnly: true, sameSite: 'Strict' }));
}

async function newWindow(origin: string, options: WindowOptions): Promise<OpenedPage> {
  const page = await (await newContext(options)).newPage();
  return { page, faults: watchPage(page, origin) };
}

/** Removes what a test has left in a window. */
async function empty(page: Page): Promise<void> {
  await page.unrouteAll();
  await page.context().clearCookies();
  if (page.url() === 'about:blank') return;
  await page.evaluate('localStorage.clear(); sessionStorage.clear()');
  await page.evaluate(
    'navigator.serviceWorker.getRegistrations().then((all) => Promise.all(all.map((one) => one.unregister())))',
  );
}

/** Collects errors of a page, violations of its policy, and requests to other origins. */
export function watchPage(page: Page, origin: string): string[] {
  const faults: string[] = [];
  const own = [origin, `blob:${origin}`, 'data:'];
  page.on('console', (message) => {
    // Chromium reports each answer of 4xx and 5xx, which tests provoke.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      faults.push(message.text());
  });
  page.on('pageerror', (error) => void faults.push(error.stack ?? error.message));
  page.on('request', (request) => {
    const url = request.url();
    if (!own.some((start) => url.startsWith(start))) faults.push(`requests ${url}`);
  });
  return faults;
}

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
/** Rules about colours. What the others find is the same in both themes. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];
const TRANSITIONS_END =
  'Promise.allSettled(document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished))';

/** What axe finds in a page. Other results than violations are not asked for: they take most of the time. @param rules default: all */
export async function violations(page: Page, rules?: readonly string[]): Promise<unknown[]> {
  if (await page.evaluate('typeof axe === "undefined"')) await page.evaluate(AXE);
  const options = { resultTypes: ['violations'], ...(rules !== undefined && { runOnly: rules }) };
  return page.evaluate(`axe.run(${JSON.stringify(options)}).then(({ violations }) => violations.flatMap(
    ({ id, nodes }) => nodes.map(({ target, failureSummary }) => [id, target, failureSummary])))`);
}

/** Checks a page with axe in both themes, and that it is not wider than its window. */
export async function expectAccessible(opened: OpenedPage): Promise<void> {
  await expectAccessibleIn(opened, 'dark');
  await expectAccessibleIn(opened, 'light');
}

async function expectAccessibleIn(
  { page, faults }: OpenedPage,
  colorScheme: 'dark' | 'light',
): Promise<void> {
  await page.emulateMedia({ colorScheme });
  // Colours that are still changing from the other theme have no contrast.
  await page.evaluate(TRANSITIONS_END);
  const found = await violations(page, colorScheme === 'dark' ? COLOUR_RULES : undefined);
  expect([colorScheme, found]).toEqual([colorScheme, []]);
  expect(
    await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
  ).toBe(0);
  expect(faults).toEqual([]);
}

/**
 * Checks a page at phone and desktop size, and takes pictures of both when pictures were asked for. The dark theme has the same
 * colours at every size, and is checked at that of the window only.
 * @param name of the pictures, to which the widths are added. @param fullPage whether they show what is below the window
 */
export async function expectAccessibleAtBothWidths(
  opened: OpenedPage,
  name?: string,
  fullPage = false,
): Promise<void> {
  const { page } = opened;
  const own = page.viewportSize()?.width ?? DESKTOP;
  for (const width of own === PHONE ? [DESKTOP, PHONE] : [PHONE, DESKTOP]) {
    await page.setViewportSize(sizeOf(width));
    if (width === own) await expectAccessible(opened);
    else await expectAccessibleIn(opened, 'light');
    if (name !== undefined) await picture(page, `${name}-${width}`, fullPage);
  }
}

/** Takes a picture of the page when pictures were asked for. @param name of the file in docs/images, without `.png`. */
export async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage });
}
