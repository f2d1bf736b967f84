// The record of a jump of Redis' clock. It informs processes that start later, and carries an operator's confirmation
// to all processes.

import { readJsonShape, type Shape } from '../../state/text/forms.ts';
import type { RedisClient } from './servers.ts';
import { required } from './unreadable.ts';

export interface ClockJump {
  /** By how much Redis' clock is ahead of the expected time, ms. */
  by: number;
  /** When it was seen, by Redis' clock after the jump, ms. */
  seen_at: number;
  /** An operator confirmed that Redis' clock is right. */
  confirmed: boolean;
}

/** String: the jump, as JSON. */
export function clockJumpKey(prefix: string): string {
  return `${prefix}:clock`;
}

/** An unconfirmed jump is accepted after this at the latest, ms. */
const ACCEPTED_AFTER_AT_MOST = 10 * 60_000;
/** A confirmation stays until every process has sampled the time, ms. */
const CONFIRMATION_KEPT = 60_000;

const SHAPE: Shape<ClockJump> = { by: 'number', seen_at: 'number', confirmed: 'boolean' };

/**
 * How long Redis' clock must be steady after a jump until the jump is accepted without a confirmation, ms: as long as it jumped, so
 * that what was due at once by the new time is due by the old time too; ten minutes at most.
 * @param by ms, negative when the clock went back.
 */
export function acceptedAfter(by: number): number {
  return Math.min(Math.abs(by), ACCEPTED_AFTER_AT_MOST);
}

/** The current jump; null when there is none. @throws UnreadableRecord */
export async function loadJump(redis: RedisClient, prefix: string): Promise<ClockJump | null> {
  const text = await redis.get(clockJumpKey(prefix));
  return text === null ? null : required(clockJumpKey(prefix), readJsonShape(text, SHAPE));
}

/** Records a jump for other processes, until it is accepted. */
export async function recordJump(redis: RedisClient, prefix: string, jump: ClockJump): Promise<void> {
  await redis.set(clockJumpKey(prefix), JSON.stringify(jump), 'PX', acceptedAfter(jump.by));
}

/**
 * Confirms the current jump: from their next sample on, within ten seconds, all processes follow Redis' clock.
 * @returns the jump, or null when there was none to confirm.
 */
export async function confirmJump(redis: RedisClient, prefix: string): Promise<ClockJump | null> {
  const jump = await loadJump(redis, prefix);
  if (jump === null || jump.confirmed) return null;
  const confirmed = { ...jump, confirmed: true };
  await redis.set(clockJumpKey(prefix), JSON.stringify(confirmed), 'PX', CONFIRMATION_KEPT);
  return confirmed;
}

const REMOVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";

/** Removes the record of a jump that is over, unless there is another by now. */
export async function removeJump(redis: RedisClient, prefix: string, jump: ClockJump): Promise<void> {
  await redis.eval(REMOVE, 1, clockJumpKey(prefix), JSON.stringify(jump));
}
