// The commands of a conversation: adding a message, and noting how far a side has read.

import type { Refusal } from './command.ts';
import {
  type Conversation,
  MAX_MESSAGES,
  type MessageCommand,
  type ReadCommand,
  type Side,
} from './conversation.ts';
import { readBy } from './conversation-status.ts';
import { notYours } from './refusals.ts';
import type { Task } from './task.ts';
import type { Transition } from './transition.ts';

/** Adds a message. Its side has read everything up to it. */
export function addMessage(transition: Transition, command: MessageCommand): Refusal | null {
  const { task, context } = transition;
  const { message_id, author, text, is_question, answers } = command;
  const { conversation = NO_MESSAGES } = task;
  const question = conversation.open_question;
  if (author.kind === 'worker' && task.assignment?.worker_id !== author.id) return notYours();
  if (is_question && question !== null) return QUESTION_OPEN;
  if (answers !== null && question?.message_id !== answers) return NOT_OPEN;
  if (answers !== null && question?.author.kind === author.kind) return OWN_QUESTION;
  if (conversation.count >= MAX_MESSAGES) return FULL;
  const asked = is_question ? { message_id, text, author, asked_at: context.now } : null;
  const grown = {
    ...conversation,
    count: conversation.count + 1,
    open_question: answers === null ? (asked ?? question) : null,
  };
  task.conversation = withRead(author.kind, task, grown, grown.count);
  const type = is_question ? 'question_asked' : answers === null ? 'message_added' : 'question_answered';
  const data = { message_id, ...(answers !== null && { answers }), author, text };
  transition.emit(`task.${type}`, task.status, data);
  return null;
}

/** Notes how far a side has read. Emits no event, and changes nothing when that is known. */
export function readMessages({ task }: Transition, { side, through }: ReadCommand): null {
  const { conversation } = task;
  if (conversation === undefined) return null;
  const count = Math.min(through, conversation.count);
  if (count > readBy(side, task, conversation)) task.conversation = withRead(side, task, conversation, count);
  return null;
}

const NO_MESSAGES: Conversation = {
  count: 0,
  open_question: null,
  read_by_requester: 0,
  read_by_worker: null,
};

function withRead(side: Side, task: Task, conversation: Conversation, count: number): Conversation {
  if (side === 'requester') return { ...conversation, read_by_requester: count };
  const { assignment } = task;
  return assignment === null
    ? conversation
    : { ...conversation, read_by_worker: { offer_id: assignment.offer_id, count } };
}

const QUESTION_OPEN: Refusal = {
  code: 'question_open',
  message: 'The task has an open question. Answer it before another is asked.',
};
const NOT_OPEN: Refusal = {
  code: 'question_not_open',
  message: 'It is not the open question of the task: it may have been answered already.',
};
const OWN_QUESTION: Refusal = {
  code: 'question_not_open',
  message: 'A question is answered by the other side.',
};
const FULL: Refusal = {
  code: 'too_many_messages',
  message: `A task has at most ${MAX_MESSAGES} messages.`,
};
