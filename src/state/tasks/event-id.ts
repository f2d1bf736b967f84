// The ids of events, which follow from their task, so that a finished task need not store them.

import { hash } from 'node:crypto';

/**
 * The id of an event: a UUIDv7 (RFC 9562) of its time, in which the sequence follows, so that the events of a task sort by it
 * within a millisecond, and a hash of both.
 * @param at ms since the epoch
 */
export function eventIdOf(taskId: string, sequence: number, at: number): string {
  const time = at.toString(16).padStart(12, '0').slice(-12);
  const order = (sequence % 4096).toString(16).padStart(3, '0');
  const digest = hash('sha256', `${taskId} ${sequence}`);
  const variant = '89ab'[Number.parseInt(digest.slice(0, 1), 16) % 4];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${order}-${variant}${digest.slice(1, 4)}-${digest.slice(4, 16)}`;
}
