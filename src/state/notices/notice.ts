// A notice tells a worker of an offer, or of a change to one of their tasks. Which changes cause notices, and whether a
// notice is still worth sending, follows from the task alone.

import { hasOpenConversation, unreadBy } from '../tasks/conversation-status.ts';
import type { TaskEvent } from '../tasks/event.ts';
import { isOfWorker } from '../tasks/offer.ts';
import { dueAt, type Task } from '../tasks/task.ts';
import { isObject } from '../text/forms.ts';
import type { ChannelKind } from './channel.ts';

/** `confirmation` carries the code of an address, `test` was requested by the worker; both belong to no task. */
export const NOTICE_KINDS = [
  'offer',
  'assigned',
  'rework',
  'message',
  'due_soon',
  'confirmation',
  'test',
] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** A notice that a change of a task causes. */
export interface NewNotice {
  worker_id: string;
  /** Id of the offer, of the event, or of the reminder. */
  notice_id: string;
  kind: NoticeKind;
}

export const NOTICE_STATUSES = ['pending', 'sent', 'failed', 'not_sent'] as const;
/** Why a notice was not sent: what it tells of is over, quiet hours of all channels, or no channel that may be used. */
export const UNSENT_REASONS = ['no_longer_relevant', 'quiet_hours', 'no_channel'] as const;
export type UnsentReason = (typeof UNSENT_REASONS)[number];

/** `sending`: under way, or its process died before it recorded the outcome. */
export const ATTEMPT_OUTCOMES = ['sending', 'sent', 'failed'] as const;

export interface NoticeAttempt {
  channel_id: string;
  channel: ChannelKind;
  /** When it began, ms. */
  at: number;
  outcome: (typeof ATTEMPT_OUTCOMES)[number];
  /** Why it failed, for the worker. */
  error: string | null;
  /** No further attempt is made through this channel. */
  is_last: boolean;
}

export interface Notice {
  notice_id: string;
  kind: NoticeKind;
  /** Null for `confirmation` and `test`. */
  task_id: string | null;
  /** The pool of the task at that time. */
  pool: string | null;
  /** The only channel that it may be sent through; null for all. */
  channel_id: string | null;
  /** When it was made, ms. */
  at: number;
  status: (typeof NOTICE_STATUSES)[number];
  reason: UnsentReason | null;
  attempts: NoticeAttempt[];
}

/** The notices that a change of a task causes. */
export function noticesOf(before: Task | null, after: Task, events: readonly TaskEvent[]): NewNotice[] {
  if (after.offers.length === 0 && after.assignment === null) return [];
  const known = new Set(before?.offers.map((one) => one.offer_id));
  const offers = after.offers
    .filter((one) => one.status === 'pending' && !known.has(one.offer_id))
    .map(({ worker_id, offer_id }): NewNotice => ({ worker_id, notice_id: offer_id, kind: 'offer' }));
  return [...offers, ...events.flatMap((event) => noticeOfEvent(after, event)), ...reminderIn(before, after)];
}

function reminderIn(before: Task | null, { assignment }: Task): NewNotice[] {
  const { worker_id, reminder } = assignment ?? {};
  if (worker_id === undefined || reminder === undefined) return [];
  const { notice_id } = reminder;
  return before?.assignment?.reminder?.notice_id === notice_id
    ? []
    : [{ worker_id, notice_id, kind: 'due_soon' }];
}

function noticeOfEvent({ assignment }: Task, { event_id, type, data }: TaskEvent): NewNotice[] {
  if (assignment === null) return [];
  const notice = (kind: NoticeKind) => [{ worker_id: assignment.worker_id, notice_id: event_id, kind }];
  switch (type) {
    case 'task.assigned':
      return data.mode === 'assign' ? notice('assigned') : [];
    case 'task.started':
      return data.reason === 'rework' ? notice('rework') : [];
    case 'task.question_asked':
    case 'task.question_answered':
    case 'task.message_added':
      return isObject(data.author) && data.author.kind === 'requester' ? notice('message') : [];
    default:
      return [];
  }
}

/**
 * Whether the worker still has to hear of it: the offer is pending, or the task is in their hands and what happened to it
 * is not settled.
 * @param task null when there is none any longer. @param now ms
 */
export function isRelevant(
  { kind, notice_id }: Pick<Notice, 'kind' | 'notice_id'>,
  task: Task | null,
  worker: { worker_id: string; incarnation?: string },
  now: number,
): boolean {
  if (kind === 'confirmation' || kind === 'test') return true;
  if (task === null) return false;
  const { assignment, status } = task;
  if (kind === 'offer')
    return task.offers.some(
      (one) => one.offer_id === notice_id && one.status === 'pending' && one.expires_at > now,
    );
  if (assignment === null || !isOfWorker(assignment, worker)) return false;
  switch (kind) {
    case 'assigned':
      return status === 'accepted' || status === 'started';
    case 'rework':
      return status === 'started';
    case 'due_soon':
      return (
        (status === 'accepted' || status === 'started') && (reminderEnd({ kind, notice_id }, task) ?? 0) > now
      );
    case 'message':
      return hasOpenConversation(task) && unreadBy('worker', task) > 0;
  }
}

/** The deadline that a reminder tells of, ms; null for other notices, and when the task has another deadline now. */
export function reminderEnd(
  { kind, notice_id }: Pick<Notice, 'kind' | 'notice_id'>,
  task: Task,
): number | null {
  const reminder = task.assignment?.reminder;
  if (kind !== 'due_soon' || reminder?.notice_id !== notice_id) return null;
  return reminder.deadline === dueAt(task, 'deadline') ? reminder.deadline : null;
}
