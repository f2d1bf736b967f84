// What a replay is: events of a span of time, sent again to an endpoint by a job that goes on in bounded steps.
// Pure: which deliveries it sends, how it looks from outside, and how fast it goes.

/** What may have become of a delivery that is looked at; null: the event was never owed to the endpoint. */
type Became = 'pending' | 'succeeded' | 'exhausted' | 'stopped' | null;

/**
 * `failed`: given up, or stopped with the endpoint disabled. `undelivered`: also what was never owed, such as what
 * happened before there was the endpoint, or while it was disabled. `all`: also what succeeded.
 */
export const REPLAY_CHOICES = ['failed', 'undelivered', 'all'] as const;
export type ReplayChoice = (typeof REPLAY_CHOICES)[number];

export const REPLAY_STATUSES = ['running', 'completed', 'cancelled', 'stopped'] as const;
export type ReplayStatus = (typeof REPLAY_STATUSES)[number];

/** Why a replay was stopped. */
export const STOP_REASONS = ['endpoint_disabled', 'endpoint_deleted'] as const;
export type StopReason = (typeof STOP_REASONS)[number];

export interface Replay {
  replay_id: string;
  org_id: string;
  endpoint_id: string;
  version: number;
  deliveries: ReplayChoice;
  /** Times of events, ms: from `since` up to, without, `until`. */
  since: number;
  until: number;
  status: ReplayStatus;
  reason: StopReason | null;
  /** The last thing looked at, in the feed or in the lists of deliveries; null at the beginning. */
  cursor: string | null;
  /** Nothing is left to be looked at. */
  walked: boolean;
  /** When the last event looked at was, ms. */
  reached: number;
  examined: number;
  sent: number;
  /** Of those sent, by what the first attempt came to. */
  succeeded: number;
  failed: number;
  created_by: string;
  created_at: number;
  updated_at: number;
  finished_at: number | null;
}

/** Whether a replay of `choice` sends what became so. What is pending comes anyway. */
export function isChosen(choice: ReplayChoice, became: Became): boolean {
  switch (became) {
    case 'pending':
      return false;
    case 'succeeded':
      return choice === 'all';
    case 'exhausted':
    case 'stopped':
      return true;
    case null:
      return choice !== 'failed';
  }
}

/** Events that all replays of an org together send in a second, at most. */
export const REPLAY_RATE = 100;
/** Events that a replay has sent and that have not been tried yet, at most. */
export const REPLAY_AHEAD = 100;
/** Events sent in one step, at most. */
export const REPLAY_STEP = 50;

const SHORTEST = 20;
/** How often a replay that waits for the receiver looks, ms. */
const LOOK = 500;

/**
 * How long a replay rests after a step, ms.
 * @param sent events sent in it. @param isWaiting it can do nothing before the receiver has had more of them.
 * @param running replays of the org under way, which share the rate.
 */
export function restAfter(sent: number, isWaiting: boolean, running: number): number {
  const share = Math.ceil((sent * 1000 * Math.max(1, running)) / REPLAY_RATE);
  return Math.max(isWaiting ? LOOK : SHORTEST, share);
}
