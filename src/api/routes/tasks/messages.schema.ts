// Messages of a task: schemas, pages and responses that both sides share.

import Type from 'typebox';
import { MAX_MESSAGES, type Side } from '../../../state/tasks/conversation.ts';
import { unreadBy } from '../../../state/tasks/conversation-status.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { authorView } from '../../../state/tasks/view.ts';
import { timestamp } from '../../../state/text/time.ts';
import { newId } from '../../../store/redis/ids.ts';
import type { Message } from '../../../store/tasks/messages.ts';
import { DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import { patternWithRule } from '../../http/pattern-rules.ts';
import type { FieldError } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, count, idOf, label, nullable, OldestFirst, pageOf, time } from '../../http/schemas.ts';
import { memberOf } from '../../http/validation.ts';
import { Author } from './task-view.schema.ts';

export const Params = Type.Object({ task_id: idOf('task') });

/** Plain text: no control characters (C0, DEL, C1) but the newline and the tab. */
export const PlainText = Type.String({
  minLength: 1,
  maxLength: 10_000,
  ...patternWithRule(
    '^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]*$',
    'must be plain text: of the control characters only the newline and the tab',
  ),
  description: 'Plain text, never HTML; of the control characters only the newline and the tab',
});

export const NewMessage = closed({
  text: PlainText,
  question: Type.Optional(
    Type.Literal(true, { description: 'It waits for an answer; a task has one open question at most' }),
  ),
  answers: Type.Optional(Type.String({ format: 'uuid', description: 'The open question that it answers' })),
});
export type NewMessage = Type.Static<typeof NewMessage>;

const MessageView = Type.Object(
  {
    message_id: idOf('message'),
    number: Type.Integer({ minimum: 1, description: 'Position in the conversation, from 1' }),
    author: Author,
    text: label('Plain text, never HTML', 10_000),
    question: Type.Boolean({ description: 'Whether it is a question' }),
    answers: nullable(idOf('question that it answers; null for none')),
    sent_at: time('When it was sent'),
  },
  { $id: 'Message', description: 'A message between the worker of a task and its requester' },
);

export const Read = closed({
  through: Type.Integer({
    minimum: 1,
    maximum: MAX_MESSAGES,
    description: 'Number of the last message read',
  }),
});

export const Page = closed(OldestFirst);

export const listed = { 200: { description: 'The messages', schema: pageOf(MessageView) } };
export const sent = { 201: { description: 'The message', schema: MessageView } };
export const read = {
  200: {
    description: 'What is left unread',
    schema: Type.Object({ unread_messages: count('Messages that are still unread') }),
  },
};

/** An answer is no question. */
export async function messageRules(body: unknown): Promise<FieldError[]> {
  const isBoth = memberOf(body, 'question') !== undefined && memberOf(body, 'answers') !== undefined;
  return isBoth ? [{ pointer: '/question', message: 'cannot be given together with answers' }] : [];
}

/** The message in a request. @param now ms */
export function newMessage(
  now: number,
  author: Message['author'],
  { text, question, answers }: NewMessage,
): Omit<Message, 'sent_at'> {
  const is_question = question === true;
  return { message_id: newId(now), author, text, is_question, answers: answers?.toLowerCase() ?? null };
}

/** A page of the conversation as one side sees it. */
export function messagePage(
  side: Side,
  taskId: string,
  messages: readonly Message[],
  { limit = DEFAULT_LIMIT, cursor, order = 'asc' }: Type.Static<typeof Page>,
): HttpResponse {
  const scope = listScope('messages', taskId, order);
  const after = readCursor(scope, cursor, /^\d{1,4}$/);
  const views = messages.map((message, index) => messageView(side, message, index + 1));
  const ordered = order === 'asc' ? views : views.reverse();
  const start = after === null ? 0 : ordered.findIndex((one) => one.number === Number(after)) + 1;
  const shown = ordered.slice(start, start + limit);
  const last = shown.at(-1);
  const hasMore = start + limit < ordered.length && last !== undefined;
  return listResponse(shown, scope, hasMore ? String(last.number) : null);
}

/** The response for a message that was added to the task. */
export function messageResponse(side: Side, task: Task, message: Omit<Message, 'sent_at'>): HttpResponse {
  const number = task.conversation?.count ?? 0;
  return { status: 201, body: messageView(side, { ...message, sent_at: task.updated_at }, number) };
}

function messageView(side: Side, { is_question, sent_at, ...message }: Message, number: number) {
  const author = authorView(side, message.author);
  return { ...message, number, author, question: is_question, sent_at: timestamp(sent_at) };
}

/** The response for a side that has read messages. */
export function readResponse(side: Side, task: Task): HttpResponse {
  return { status: 200, body: { unread_messages: unreadBy(side, task) } };
}
