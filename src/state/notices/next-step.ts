// What to do next with a notice: it tries the worker's channels in their order, each a bounded number of times, until one
// takes it.

import type { Urgency } from '../tasks/task.ts';
import { type Channel, isForPool, isUsable, quietUntil } from './channel.ts';
import type { Notice, UnsentReason } from './notice.ts';

/** Attempts through one channel: few, because an offer lasts a minute. */
export const MAX_ATTEMPTS = 2;
/** Pause before the second attempt, ms. */
export const RETRY_AFTER_MS = 2000;

export type NoticeStep =
  | { kind: 'send'; channel: Channel }
  /** Nothing may be sent before this time, ms. */
  | { kind: 'wait'; until: number }
  | { kind: 'settle'; status: 'failed'; reason: null }
  | { kind: 'settle'; status: 'not_sent'; reason: UnsentReason };

/**
 * The next step of a pending notice that is still relevant. In quiet hours a channel is passed over. When no other channel
 * takes the notice, an offer is given up, because it will have ended; anything else waits for the end of the quiet hours.
 * @param channels of the worker, in their order. @param urgency of the task. @param now ms
 */
export function nextStep(
  notice: Notice,
  channels: readonly Channel[],
  urgency: Urgency | null,
  now: number,
): NoticeStep {
  const quietEnds: number[] = [];
  for (const channel of candidates(notice, channels)) {
    const made = notice.attempts.filter((one) => one.channel_id === channel.channel_id);
    const last = made.at(-1);
    if (made.length >= MAX_ATTEMPTS || last?.is_last === true) continue;
    const quiet = isSilenced(notice, channel, urgency) ? quietUntil(channel.quiet_hours, now) : null;
    if (quiet !== null) {
      quietEnds.push(quiet);
      continue;
    }
    const from = last === undefined ? now : last.at + RETRY_AFTER_MS;
    return from > now ? { kind: 'wait', until: from } : { kind: 'send', channel };
  }
  if (quietEnds.length > 0 && notice.kind !== 'offer') return { kind: 'wait', until: Math.min(...quietEnds) };
  if (notice.attempts.length > 0) return { kind: 'settle', status: 'failed', reason: null };
  return { kind: 'settle', status: 'not_sent', reason: quietEnds.length > 0 ? 'quiet_hours' : 'no_channel' };
}

function candidates(notice: Notice, channels: readonly Channel[]): readonly Channel[] {
  const { channel_id, task_id, pool } = notice;
  // A test, and the code of an address, go to their channel whatever its state.
  if (channel_id !== null) return channels.filter((one) => one.channel_id === channel_id);
  return channels.filter((one) => isUsable(one) && (task_id === null || isForPool(one, pool)));
}

/** Whether quiet hours apply: not to what the worker asks for, nor to critical tasks where they are let through. */
function isSilenced({ channel_id }: Notice, { quiet_hours }: Channel, urgency: Urgency | null): boolean {
  if (channel_id !== null) return false;
  return !(urgency === 'critical' && quiet_hours?.allow_critical === true);
}
