// The Chromium of the tests: one browser for all test files that a worker of Vitest runs. It is the headless shell where there is
// one, which has no window to draw and so takes a quarter less processor time, apart from tests of notifications.
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import { inject } from 'vitest';
import type {} from './global-setup.ts';

const CHROMIUM = inject('chromium');
const HEADLESS_SHELL = inject('headlessShell');

/** Whether browser tests can run here. */
export const hasBrowser = CHROMIUM !== '';

export const PHONE = 390;
export const DESKTOP = 1280;

/** The size of a window of this width, CSS pixels. */
export const sizeOf = (width: number) => ({ width, height: width === PHONE ? 844 : 900 });

export interface WindowOptions {
  /** CSS pixels; default: `DESKTOP`. */
  width?: number;
  /** Preferred language; default: `en-GB`. */
  locale?: string;
  /** Whether the browser must be able to show notifications; default: `false`. */
  notifications?: boolean;
}

/**
 * What of the browser is off. This replaces the list of Playwright, whose entries come first. The others are the suggestions under
 * the address bar, two pages that each window loads though it has no bar: they were more than half of the cost of a window. The
 * last is a process that Chromium starts in advance for the next page: it takes a seventh of the time of Chromium.
 */
const DISABLED_FEATURES = [
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'LensOverlay',
  'MediaRouter',
  'PaintHolding',
  'ThirdPartyStoragePartitioning',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'TcpPortRandomizationWin',
  'OptimizationHints',
  'NetworkTimeServiceQuerying',
  'AimEnabled',
  'PreconnectToSearch',
  'WebUIOmniboxPopup',
  'WebUIOmniboxAimPopup',
  'SpareRendererForSitePerProcess',
];

/** By their programs. */
const launched = new Map<string, Promise<Browser>>();

/** The browser of a program, which ends with this process. */
function browser(program: string): Promise<Browser> {
  const known = launched.get(program) ?? launch(program);
  launched.set(program, known);
  return known;
}

function launch(program: string): Promise<Browser> {
  return chromium.launch({
    executablePath: program,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--use-fake-device-for-media-stream',
      `--disable-features=${DISABLED_FEATURES.join(',')}`,
      // Pages of tests end before code that is optimised in the background has paid for it.
      '--js-flags=--no-opt --no-maglev',
    ],
    // A busy machine needs long to start a browser.
    timeout: 120_000,
  });
}

/** A new profile of the browser, without cookies and storage. */
export async function newContext(options: WindowOptions = {}): Promise<BrowserContext> {
  const { width = DESKTOP, locale = 'en-GB', notifications = false } = options;
  return (await browser(notifications ? CHROMIUM : HEADLESS_SHELL)).newContext({
    viewport: sizeOf(width),
    colorScheme: 'light',
    locale,
    hasTouch: width === PHONE,
    // A theme changes at once, so that axe sees no colours in between.
    reducedMotion: 'reduce',
    timezoneId: 'Europe/London',
  });
}

/** Closes what the tests of a file have left open. */
export async function closeContexts(): Promise<void> {
  const browsers = await Promise.all(launched.values());
  const contexts = browsers.flatMap((one) => one.contexts());
  await Promise.all(contexts.map((context) => context.close()));
}
