// The outcome of one attempt to send a notice through a channel.

import type { SendOutcome } from '../webhooks/sender.ts';

export interface ChannelOutcome {
  ok: boolean;
  /** The receiver says that the channel no longer exists. */
  isGone: boolean;
  /** Another attempt would fail in the same way. */
  isFinal: boolean;
  /** Why it failed, for the worker; never contains a secret. */
  error: string | null;
  /** Status of an HTTP answer; null without one. */
  status: number | null;
  ms: number;
  retryAfterMs: number | null;
}

/** An attempt that could not be made, and will not be. */
export function unsendable(error: string): ChannelOutcome {
  return { ok: false, isGone: false, isFinal: true, error, status: null, ms: 0, retryAfterMs: null };
}

const GONE: readonly (number | null)[] = [404, 410];
/** Statuses with which a receiver asks for another attempt. */
const TEMPORARY: readonly (number | null)[] = [408, 425, 429];
/** Faults of the URL and its address, which stay. */
const LASTING = ['bad_url', 'address_refused'];

/** The outcome of a request to a push service or an incoming webhook. */
export function outcomeOfRequest(outcome: SendOutcome): ChannelOutcome {
  const { ok, status, errorClass, error, ms, retryAfterMs } = outcome;
  const isRefused = status !== null && status < 500 && !TEMPORARY.includes(status);
  return {
    ok,
    isGone: GONE.includes(status),
    isFinal: !ok && (isRefused || LASTING.includes(errorClass ?? '')),
    error,
    status,
    ms,
    retryAfterMs,
  };
}
