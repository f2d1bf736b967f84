// A replay: events of a time range, sent again to an endpoint, or dead letters, sent again to their receivers, by a job that
// runs in bounded steps. Pending deliveries are stopped in the same way. Pure: which deliveries it sends, and how fast.

import { type Run, restFor } from '../runs/run.ts';

/** The state of an examined delivery; null: the event was never to be delivered to the endpoint. */
type Became = 'pending' | 'succeeded' | 'exhausted' | 'stopped' | null;

/**
 * `failed`: exhausted, or stopped because the endpoint was disabled. `undelivered`: also events for which there was no
 * delivery, such as those from before the endpoint was created or while it was disabled. `all`: also successful ones.
 */
export const REPLAY_CHOICES = ['failed', 'undelivered', 'all'] as const;
export type ReplayChoice = (typeof REPLAY_CHOICES)[number];

export const REPLAY_STATUSES = ['running', 'completed', 'cancelled', 'stopped'] as const;
type ReplayStatus = (typeof REPLAY_STATUSES)[number];

/** Why a replay was stopped. */
export const STOP_REASONS = ['endpoint_disabled', 'endpoint_deleted'] as const;
type StopReason = (typeof STOP_REASONS)[number];

/** What replays to an endpoint and redeliveries of dead letters have in common. */
interface Resending extends Run {
  replay_id: string;
  /** Times of events, ms: from `since` up to, without, `until`. */
  since: number;
  until: number;
  status: ReplayStatus;
  reason: StopReason | null;
  /** The last examined entry of the feed or of the lists of deliveries; null at the start. */
  cursor: string | null;
  /** Everything has been examined. */
  walked: boolean;
  /** Time of the last examined event, ms. */
  reached: number;
  examined: number;
  sent: number;
  /** Of those sent, by the outcome of the first attempt. */
  succeeded: number;
  failed: number;
  created_by: string;
  /** Once it has ended without sending anything: deliveries of the time range that are still pending. */
  pending?: number;
}

/** A replay to an endpoint. */
export interface Replay extends Resending {
  endpoint_id: string;
  deliveries: ReplayChoice;
}

/** A redelivery of dead letters to the receivers that they were for. */
export interface Redelivery extends Resending {
  endpoint_id: null;
  letters: LetterFilter;
}

/** A run that stops pending deliveries: they are not sent any more. `sent` counts the stopped ones. */
export interface DeliveryStop extends Resending {
  endpoint_id: null;
  stops: LetterFilter;
  /** Deliveries that the current pass has left for the next one, because an attempt was in progress. */
  busy: number;
}

/** Which deliveries: those of a callback URL, of an endpoint, or (both null) all, of tasks of these pools. */
export interface LetterFilter {
  callback_url: string | null;
  endpoint_id: string | null;
  pools: string[];
}

export type AnyReplay = Replay | Redelivery | DeliveryStop;

/** Whether the run stops deliveries instead of sending some. */
export function isStop(replay: AnyReplay): replay is DeliveryStop {
  return 'stops' in replay;
}

/** Whether the run is a redelivery of dead letters. */
export function isRedelivery(replay: AnyReplay): replay is Redelivery {
  return replay.endpoint_id === null && !isStop(replay);
}

/** Whether a replay of `choice` sends a delivery in this state. A pending one is sent anyway. */
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

/** Most events per second of all replays of an org together. */
const REPLAY_RATE = 100;
/** Most events that a replay has enqueued and that have not been attempted yet. */
export const REPLAY_AHEAD = 100;
/** Most events of one step. */
export const REPLAY_STEP = 50;

const SHORTEST = 20;
/** How often a replay that waits for the receiver checks, ms. */
const LOOK = 500;

/**
 * How long a replay pauses after a step, ms.
 * @param sent events sent in the step. @param isWaiting whether `REPLAY_AHEAD` events wait for their first attempt.
 * @param running number of running replays of the org, which share the rate.
 */
export function restAfter(sent: number, isWaiting: boolean, running: number): number {
  return Math.max(isWaiting ? LOOK : SHORTEST, restFor(sent, REPLAY_RATE, running));
}
