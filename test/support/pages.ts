// The pages in Chromium, against a real API with its processors. Each page that is opened collects what must not happen:
// errors, violations of the policy, requests to other origins.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { type ApiOptions, createOrg, type Org, startApi, type TestApi } from './api.ts';

const CHROMIUM = '/usr/bin/chromium';

/** Whether the tests can run here: they need a browser. */
export const hasBrowser = existsSync(CHROMIUM);

/** `SCREENSHOTS=1 script/test test/pages` renews the pictures of the documentation; another value names another folder. */
const { SCREENSHOTS } = process.env;
const PICTURES = SCREENSHOTS === '1' ? 'docs/images' : SCREENSHOTS;

export const PHONE = 390;
export const DESKTOP = 1280;

export interface PageOptions {
  /** Of the window, CSS pixels; default: `DESKTOP`. */
  width?: number;
  colorScheme?: 'light' | 'dark';
  /** Preferred language of the browser; default: `en-GB`. */
  locale?: string;
  /** Shares cookies and tabs with other pages; default: a new one. */
  context?: BrowserContext;
}

export interface OpenedPage {
  page: Page;
  /** What must not happen; checked by `expectNoFaults`. */
  faults: string[];
}

export interface PagesOfFile {
  api: TestApi;
  org: Org;
  newContext(options?: PageOptions): Promise<BrowserContext>;
  /** Opens a path of the API's origin. */
  open(path: string, options?: PageOptions): Promise<OpenedPage>;
}

/** Starts the API with its processors and a browser for the tests of this file; both end after them. */
export function pagesOfFile(options: ApiOptions = {}): PagesOfFile {
  let browser: Browser | undefined;
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
    given.org = await createOrg(given.api);
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--use-fake-device-for-media-stream'],
    });
    // A busy machine needs long to start a browser.
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await given.api?.close();
  });

  const newContext = ({ width = DESKTOP, colorScheme = 'light', locale = 'en-GB' }: PageOptions = {}) =>
    required(browser).newContext({
      viewport: { width, height: width === PHONE ? 844 : 900 },
      colorScheme,
      locale,
      hasTouch: width === PHONE,
      // A theme changes at once, so that axe sees no colours in between.
      reducedMotion: 'reduce',
      timezoneId: 'Europe/London',
    });

  return {
    get api() {
      return required(given.api);
    },
    get org() {
      return required(given.org);
    },
    newContext,
    async open(path, pageOptions = {}) {
      const { url } = required(given.api);
      const context = pageOptions.context ?? (await newContext(pageOptions));
      const page = await context.newPage();
      const faults = watchPage(page, url);
      await page.goto(url + path);
      return { page, faults };
    },
  };
}

/** Collects errors of a page, violations of its policy, and requests to other origins. */
export function watchPage(page: Page, origin: string): string[] {
  const faults: string[] = [];
  page.on('console', (message) => {
    // Chromium reports each answer of 4xx and 5xx, which tests provoke.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      faults.push(message.text());
  });
  page.on('pageerror', (error) => void faults.push(error.stack ?? error.message));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith(`blob:${origin}`)) faults.push(`requests ${url}`);
  });
  return faults;
}

const TRANSITIONS_END =
  'Promise.allSettled(document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished))';

/** Violations that axe finds in both themes, and whether the page is wider than its window. */
export async function expectAccessible({ page, faults }: OpenedPage): Promise<void> {
  const found: unknown[] = [];
  await page.evaluate(axe.source);
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    // Colours that are still changing from the other theme have no contrast.
    await page.evaluate(TRANSITIONS_END);
    const { violations } = (await page.evaluate('axe.run()')) as {
      violations: { id: string; nodes: { target: string[]; failureSummary: string }[] }[];
    };
    for (const { id, nodes } of violations)
      found.push(...nodes.map((one) => [colorScheme, id, one.target, one.failureSummary]));
  }
  expect(found).toEqual([]);
  expect(
    await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
  ).toBe(0);
  expect(faults).toEqual([]);
}

/** Takes a picture of the page when pictures were asked for. @param name of the file in docs/images, without `.png`. */
export async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage });
}
