// The `data` of each type of event: the same in histories, the feed, streams and webhooks.

import Type, { type TSchema } from 'typebox';
import type { EventType } from '../../../state/tasks/lifecycle.ts';
import {
  described,
  idOf,
  label,
  nullable,
  PoolId,
  text,
  time,
  Uuid,
  WorkerId,
  word,
} from '../../http/schemas.ts';
import { ReportReason, SlaClock, Urgency } from './enums.schema.ts';
import {
  CopiesResult,
  DefaultResult,
  Submission,
  TaskCancellation,
  TaskFailure,
} from './task-result.schema.ts';
import { Author } from './task-view.schema.ts';

/** What a reviewer or another caller said. */
const said = {
  detail: Type.Optional(text('The reason that a caller gave')),
  rating: Type.Optional(Type.Number({ minimum: 1, maximum: 5, description: "The reviewer's rating" })),
};
const offer = { offer_id: idOf('offer'), worker_id: WorkerId, expires_at: time('When the offer expires') };
const message = {
  message_id: idOf('message'),
  author: Author,
  text: label('The message, plain text', 10_000),
};

/** What the `data` of an event has. */
export const EVENT_DATA: Record<EventType, Record<string, TSchema>> = {
  'task.created': {},
  'task.queued': {
    reason: label('Why it waits for a worker: `created`, `declined`, `released` …'),
    worker_id: Type.Optional(WorkerId),
    offer_id: Type.Optional(idOf('offer that ended')),
    pool_id: Type.Optional(PoolId),
    ...said,
  },
  'task.matched': {
    worker_id: WorkerId,
    worker_ids: Type.Optional(
      Type.Array(WorkerId, { description: 'All workers who get an offer, when there are several' }),
    ),
  },
  'task.offered': {
    ...offer,
    offers: Type.Optional(
      Type.Array(Type.Object(offer, { $id: 'EventOffer', description: 'An offer to a worker' }), {
        description: 'All offers, when there are several',
      }),
    ),
  },
  'task.accepted': { worker_id: WorkerId, offer_id: idOf('accepted offer') },
  'task.started': {
    worker_id: WorkerId,
    reason: Type.Optional(label('`rework` when a reviewer sent the work back')),
    ...said,
  },
  'task.submitted': { worker_id: WorkerId },
  'task.verified': {
    mode: Type.Optional(
      word(['auto', 'manual'], { description: '`auto`, or `manual` when a reviewer approved' }),
    ),
    ...said,
  },
  'task.completed': {
    result: Type.Union([Submission, CopiesResult, DefaultResult], { description: 'The result of the task' }),
  },
  'task.failed': { failure: TaskFailure },
  'task.cancelled': { cancellation: TaskCancellation },
  'task.sla_breached': {
    clock: SlaClock,
    due_at: time('When the clock was due'),
    breached_at: time('When the breach was recorded'),
  },
  'task.updated': {
    changes: Type.Array(
      Type.Object(
        {
          pointer: Type.String({
            format: 'json-pointer',
            description: 'JSON Pointer (RFC 6901) of the member',
          }),
          from: Type.Optional(Type.Unknown({ description: 'Value before; missing if there was none' })),
          to: Type.Optional(Type.Unknown({ description: 'Value after; missing if it was removed' })),
        },
        { $id: 'TaskChange', description: 'A changed member of a task' },
      ),
      { description: 'What was changed' },
    ),
  },
  'task.assigned': {
    worker_id: WorkerId,
    mode: word(['offer', 'assign'], { description: 'How the worker got it' }),
    forced: Type.Boolean({ description: 'Whether the worker was not eligible' }),
  },
  'task.requeued': {
    reason: text('The reason that was given'),
    worker_id: nullable(described(WorkerId, 'Id of the worker who had the task; null for none')),
  },
  'task.question_asked': message,
  'task.question_answered': { ...message, answers: idOf('question that it answers') },
  'task.message_added': message,
  'task.escalated': {
    after_seconds: Type.Integer({ minimum: 1, description: 'Of the escalation: seconds after the start' }),
    while: word(['unassigned', 'unfinished'], { description: 'Of the escalation: its condition' }),
    urgency: Type.Optional(Urgency),
    worker_pool_id: Type.Optional(PoolId),
    missing_worker_pool_id: Type.Optional(described(PoolId, 'Id of a pool that no longer exists')),
    notified_members: Type.Optional(Type.Array(Uuid, { description: 'Ids of the members to notify' })),
  },
  'task.reported': {
    worker_id: WorkerId,
    reason: ReportReason,
    text: nullable(text('What the worker wrote; null for nothing')),
  },
  'task.disputed': {
    worker_id: Type.Optional(WorkerId),
    text: nullable(text('What the worker or the reviewer wrote; null for nothing')),
    decision: Type.Optional(
      word(['uphold', 'overturn'], { description: 'What the reviewer decided; missing when it was opened' }),
    ),
  },
};

/** A union of event schemas by their `type`. */
export function unionByType($id: string, description: string, choices: TSchema[]): TSchema {
  return Type.Unsafe<unknown>({ $id, description, discriminator: { propertyName: 'type' }, oneOf: choices });
}

/** The part of the names of schemas that stands for a type: `task.sla_breached` → `TaskSlaBreached`. */
export function nameOf(type: string): string {
  return type
    .split(/[._]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** The member `type` of an event of one type. */
export function typeOf(type: string): TSchema {
  return Type.Literal(type, { description: 'Type of the event' });
}
