// The Chromium of the tests: one process for all test files that a worker of Vitest runs.
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import { inject } from 'vitest';
import type {} from './global-setup.ts';

const CHROMIUM = inject('chromium');

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

let launched: Promise<Browser> | undefined;

/** The browser, which ends with this process. */
function browser(): Promise<Browser> {
  launched ??= chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--use-fake-device-for-media-stream',
      `--disable-features=${DISABLED_FEATURES.join(',')}`,
    ],
    // A busy machine needs long to start a browser.
    timeout: 120_000,
  });
  return launched;
}

/** A new profile of the browser, without cookies and storage. */
export async function newContext(options: WindowOptions = {}): Promise<BrowserContext> {
  const { width = DESKTOP, locale = 'en-GB' } = options;
  return (await browser()).newContext({
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
  const contexts = launched === undefined ? [] : (await launched).contexts();
  await Promise.all(contexts.map((context) => context.close()));
}
