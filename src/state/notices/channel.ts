// A channel through which a worker hears of offers and of changes to their tasks while they are not looking: Web Push,
// e-mail, or a Slack-compatible incoming webhook. The channels of a worker are one record, in the order in which notices
// try them. Times are milliseconds since the epoch.

import { maySeePool } from '../access/permission.ts';
import { localMinute, MINUTES_PER_DAY } from '../text/local-time.ts';

export const CHANNEL_KINDS = ['web_push', 'email', 'slack'] as const;
export type ChannelKind = (typeof CHANNEL_KINDS)[number];

export const NOTICE_LANGUAGES = ['en', 'de'] as const;
export type NoticeLanguage = (typeof NOTICE_LANGUAGES)[number];

/** Most channels of a worker. */
export const MAX_CHANNELS = 10;

/** A daily period without notices, in local time. It may span midnight. */
export interface QuietHours {
  /** `HH:MM`. */
  start: string;
  end: string;
  /** Name in the IANA time zone database. */
  time_zone: string;
  /** Whether notices of `critical` tasks are sent all the same. */
  allow_critical: boolean;
}

/** The code that was sent to an address to confirm it. */
export interface ConfirmationCode {
  /** The code, sealed. */
  sealed: string;
  expires_at: number;
  /** Wrong codes given so far. */
  wrong: number;
}

export interface Channel {
  channel_id: string;
  kind: ChannelKind;
  version: number;
  /** What the worker calls it. */
  name: string;
  language: NoticeLanguage;
  enabled: boolean;
  /** Why and since when it is disabled; null while it is enabled. `gone`: its receiver says that it no longer exists. */
  disabled: { reason: 'manual' | 'gone'; at: number } | null;
  quiet_hours: QuietHours | null;
  /** The e-mail address, or the host of the push service or incoming webhook. */
  target: string;
  /** SHA-256 of the whole target, so that no target is registered twice. */
  target_hash: string;
  /** The subscription or URL as JSON, sealed; null for e-mail. */
  sealed: string | null;
  /** When the address was confirmed; null until then. Other kinds need no confirmation. */
  confirmed_at: number | null;
  code: ConfirmationCode | null;
  /** Pools of the token that created it: it gets no notices of tasks in other pools. */
  pools: readonly string[];
  created_at: number;
  updated_at: number;
}

/** All channels of a worker. */
export interface Channels {
  org_id: string;
  worker_id: string;
  version: number;
  channels: Channel[];
  /** When confirmation codes were sent in the last day. */
  codes_sent: number[];
}

/** Whether notices may be sent through the channel: it is enabled and, for e-mail, confirmed. */
export function isUsable({ enabled, confirmed_at }: Channel): boolean {
  return enabled && confirmed_at !== null;
}

/** Whether the channel may carry notices of tasks in this pool. */
export function isForPool(channel: Channel, pool: string | null): boolean {
  return maySeePool(channel, pool);
}

/** The channel that stops because its receiver says that it no longer exists. */
export function goneChannel(channel: Channel, now: number): Channel {
  if (!channel.enabled) return channel;
  return changedChannel(channel, { enabled: false, disabled: { reason: 'gone', at: now } }, now);
}

/** The next version of a channel. */
export function changedChannel(channel: Channel, change: Partial<Channel>, now: number): Channel {
  return { ...channel, ...change, version: channel.version + 1, updated_at: now };
}

/** The channels with one of them moved to `position`, counted from 1; beyond the last, it becomes the last. */
export function moved(channels: readonly Channel[], channelId: string, position: number): Channel[] {
  const others = channels.filter((one) => one.channel_id !== channelId);
  const own = channels.filter((one) => one.channel_id === channelId);
  return [...others.slice(0, position - 1), ...own, ...others.slice(position - 1)];
}

/** Length of the period in which codes are counted, and the most codes in it. */
export const CODE_PERIOD_MS = 24 * 3600_000;
export const MAX_CODES = 10;
/** How long a code is valid. */
export const CODE_LIFE_MS = 3600_000;
/** Wrong codes after which a new one must be requested. */
export const MAX_WRONG_CODES = 5;

/** The times of codes that still count. */
export function recentCodes(sent: readonly number[], now: number): number[] {
  return sent.filter((at) => at > now - CODE_PERIOD_MS && at <= now);
}

/** The fault of quiet hours, or null. */
export function quietHoursFault({
  start,
  end,
  time_zone,
}: Omit<QuietHours, 'allow_critical'>): string | null {
  if (start === end) return 'must begin and end at different times';
  return localMinute(0, time_zone) === null ? 'names an unknown time_zone, such as Europe/Berlin' : null;
}

/** When the quiet hours that the time lies in end, ms; null outside of them. To a minute; a change of the clocks moves it. */
export function quietUntil(quiet: QuietHours | null, now: number): number | null {
  if (quiet === null) return null;
  const minute = localMinute(now, quiet.time_zone);
  if (minute === null) return null;
  const [start, end] = [minuteOf(quiet.start), minuteOf(quiet.end)];
  const sinceStart = (minute - start + MINUTES_PER_DAY) % MINUTES_PER_DAY;
  const length = (end - start + MINUTES_PER_DAY) % MINUTES_PER_DAY;
  return sinceStart < length ? Math.floor(now / 60_000 + length - sinceStart) * 60_000 : null;
}

function minuteOf(clock: string): number {
  const [hours = '', minutes = ''] = clock.split(':');
  return Number(hours) * 60 + Number(minutes);
}
