// The messages of a task in Redis: a list beside the task, to which the commit of a message adds. It is kept when the task
// is final, and purged with the task.

import { type Author, SIDES } from '../../state/tasks/conversation.ts';
import type { TaskEvent } from '../../state/tasks/event.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import type { Task } from '../../state/tasks/task.ts';
import { broken, isObject, type Read, readJsonShape, type Shape } from '../../state/text/forms.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched, required } from '../redis/unreadable.ts';
import { liveOrArchived } from './archived.ts';

export interface Message {
  message_id: string;
  author: Author;
  text: string;
  is_question: boolean;
  /** The question that it answers. */
  answers: string | null;
  /** ms. */
  sent_at: number;
}

const SHAPE: Shape<Message> = {
  message_id: 'string',
  author: 'object',
  text: 'string',
  answers: 'string or null',
  sent_at: 'number',
};

/** Writes that store the messages among these events of a task. */
export function messageWrites(db: Db, orgId: string, taskId: string, events: readonly TaskEvent[]): Write[] {
  const messages = events.flatMap((event) => messageIn(event) ?? []);
  if (messages.length === 0) return [];
  const key = orgKeysOf(db.prefix, orgId).messages(taskId);
  return [['RPUSH', key, ...messages.map((one) => JSON.stringify(one))]];
}

function messageIn({ type, at, data }: TaskEvent): Message | null {
  if (type !== 'task.message_added' && type !== 'task.question_asked' && type !== 'task.question_answered')
    return null;
  const { message_id, author, text, answers } = data;
  if (typeof message_id !== 'string' || typeof text !== 'string' || !isAuthor(author))
    throw new Error(`${type} without a message`);
  return {
    message_id,
    author,
    text,
    is_question: type === 'task.question_asked',
    answers: typeof answers === 'string' ? answers : null,
    sent_at: at,
  };
}

function isAuthor(value: unknown): value is Author {
  return isObject(value) && typeof value.id === 'string' && SIDES.some((side) => side === value.kind);
}

/** All messages of a task, oldest first; at most `MAX_MESSAGES`. @throws UnreadableRecord; the errors of the archive */
export async function loadMessages(db: Db, { org_id, task_id, status }: Task): Promise<Message[]> {
  const key = orgKeysOf(db.prefix, org_id).messages(task_id);
  const live = async () => fetched(key, db.redis.lrange(key, 0, -1));
  const ofFinal = () =>
    liveOrArchived(
      db,
      org_id,
      task_id,
      async () => nonEmpty(await live()),
      ({ messages }) => messages.map(String),
    );
  const texts = isFinal(status) ? ((await ofFinal()) ?? []) : await live();
  return texts.map((text) => required(key, readMessage(text)));
}

function nonEmpty<T>(list: T[]): T[] | null {
  return list.length === 0 ? null : list;
}

function readMessage(text: string): Read<Message> {
  const read = readJsonShape<Message>(text, SHAPE);
  return read.kind === 'known' && !isAuthor(read.value.author) ? broken('its author is unknown') : read;
}
