// The current time as the server sees it, as a value that components follow. All components with the same interval share one
// timer.

import { useSyncExternalStore } from 'react';

/** Server time minus the time of this machine, ms: clocks of people's machines are wrong by minutes. */
let offset = 0;

/** Notes the time of the server from an answer. @param at its header `Date`; null is ignored. */
export function noteServerTime(at: string | null): void {
  const time = at === null ? Number.NaN : Date.parse(at);
  if (Number.isNaN(time)) return;
  const difference = time + 500 - Date.now();
  // The header has seconds only, so a small difference says nothing.
  offset = Math.abs(difference) < 2000 ? 0 : difference;
}

/** Server time, ms since 1970. */
export function serverNow(): number {
  return Date.now() + offset;
}

interface Ticker {
  listeners: Set<() => void>;
  now: number;
  timer: ReturnType<typeof setInterval> | undefined;
}

const tickers = new Map<number, Ticker>();

/** Server time, renewed every `interval` ms. */
export function useNow(interval: number): number {
  const ticker = tickers.get(interval) ?? { listeners: new Set(), now: serverNow(), timer: undefined };
  tickers.set(interval, ticker);
  return useSyncExternalStore(
    (listener) => subscribe(ticker, interval, listener),
    () => ticker.now,
  );
}

function subscribe(ticker: Ticker, interval: number, listener: () => void): () => void {
  ticker.listeners.add(listener);
  ticker.now = serverNow();
  ticker.timer ??= setInterval(() => {
    ticker.now = serverNow();
    for (const one of ticker.listeners) one();
  }, interval);
  return () => {
    ticker.listeners.delete(listener);
    if (ticker.listeners.size > 0) return;
    clearInterval(ticker.timer);
    ticker.timer = undefined;
  };
}
