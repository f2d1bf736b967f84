// How an entry of the feed refers to the events of a commit. The short form has 22 characters of the task's id in base64url, the
// sequence of the first event, and a letter for the type of each. The long form has a field for each: `task`, `sequence`, `events`, the
// types without `task.`; earlier versions wrote it, and it is written for what has no short form.

import type { EventType } from '../../state/tasks/lifecycle.ts';
import { digitsOf, isUuid, uuidOf } from '../redis/ids.ts';

/** The events of one commit of a task. */
export interface EventsReference {
  task_id: string;
  /** Sequence of the first. */
  first: number;
  types: readonly EventType[];
  /** Pool of the task, null for none; absent in entries of earlier versions. */
  pool?: string | null;
}

/** Part of the data layout: a letter never gets another meaning. */
const LETTERS: Readonly<Record<EventType, string>> = {
  'task.created': 'c',
  'task.queued': 'q',
  'task.matched': 'm',
  'task.offered': 'o',
  'task.accepted': 'a',
  'task.started': 's',
  'task.submitted': 'u',
  'task.verified': 'v',
  'task.completed': 'z',
  'task.failed': 'f',
  'task.cancelled': 'x',
  'task.sla_breached': 'b',
  'task.updated': 'p',
  'task.assigned': 'g',
  'task.requeued': 'r',
  'task.question_asked': 'k',
  'task.question_answered': 'w',
  'task.message_added': 'j',
  'task.escalated': 'e',
  'task.reported': 't',
  'task.disputed': 'd',
};
const TYPES = new Map(Object.entries(LETTERS).map(([type, letter]) => [letter, type as EventType]));
const SHORT = /^([A-Za-z0-9_-]{22})(\d+)([a-z]+)$/;

/** The fields of a stream entry before its pool, as names and values. */
export function referenceFields(
  taskId: string,
  first: number,
  types: readonly EventType[],
): (string | number)[] {
  if (isUuid(taskId)) {
    const id = Buffer.from(digitsOf(taskId), 'hex').toString('base64url');
    return ['r', `${id}${first}${types.map((type) => LETTERS[type]).join('')}`];
  }
  return [
    'task',
    taskId,
    'sequence',
    first,
    'events',
    types.map((type) => type.slice('task.'.length)).join(),
  ];
}

/** Reads the fields of a stream entry; null when they are no reference. */
export function readReference(fields: readonly string[]): EventsReference | null {
  const pool = fields.at(-2) === 'pool' ? { pool: fields.at(-1) || null } : {};
  if (fields[0] === 'r') {
    const [, id = '', first, letters = ''] = SHORT.exec(fields[1] ?? '') ?? [];
    const types = [...letters].map((letter) => TYPES.get(letter)).filter((type) => type !== undefined);
    if (types.length === 0 || types.length < letters.length) return null;
    return {
      task_id: uuidOf(Buffer.from(id, 'base64url').toString('hex')),
      first: Number(first),
      types,
      ...pool,
    };
  }
  const [name, task_id = '', , first, , types = ''] = fields;
  if (name !== 'task' || !Number.isInteger(Number(first))) return null;
  return {
    task_id,
    first: Number(first),
    types: types.split(',').map((type) => `task.${type}` as EventType),
    ...pool,
  };
}
