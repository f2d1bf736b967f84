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
  now: () => number;
  subscribe: (listener: () => void) => () => void;
}

const tickers = new Map<number, Ticker>();

/** Server time, renewed every `interval` ms. */
export function useNow(interval: number): number {
  const ticker = tickers.get(interval) ?? makeTicker(interval);
  tickers.set(interval, ticker);
  return useSyncExternalStore(ticker.subscribe, ticker.now);
}

function makeTicker(interval: number): Ticker {
  const listeners = new Set<() => void>();
  let now = serverNow();
  let timer: ReturnType<typeof setInterval> | undefined;
  const tick = () => {
    now = serverNow();
    for (const listener of listeners) listener();
  };
  return {
    // While nobody listens, nothing renews the time.
    now: () => {
      if (timer === undefined && serverNow() - now >= interval) now = serverNow();
      return now;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      timer ??= setInterval(tick, interval);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}
