// The status of the conversation of a task: the open question, and how much each side has not read.

import type { Conversation, OpenQuestion, Side } from './conversation.ts';
import { isFinal } from './lifecycle.ts';
import type { Task } from './task.ts';

/** The question that waits for an answer; null when there is none or the task is final. */
export function openQuestionOf(task: Task): OpenQuestion | null {
  return isFinal(task.status) ? null : (task.conversation?.open_question ?? null);
}

/** How many messages this side has not read; 0 when the task is final. A new worker has read none. */
export function unreadBy(side: Side, task: Task): number {
  const { conversation } = task;
  if (conversation === undefined || isFinal(task.status)) return 0;
  return conversation.count - readBy(side, task, conversation);
}

/** How many messages this side has read. */
export function readBy(side: Side, task: Task, conversation: Conversation): number {
  if (side === 'requester') return conversation.read_by_requester;
  const { read_by_worker: read } = conversation;
  return read !== null && read.offer_id === task.assignment?.offer_id ? read.count : 0;
}

/** Whether the task's worker takes part in its conversation: they hold it, and it is not final. */
export function hasOpenConversation(task: Task): boolean {
  return task.assignment !== null && ['accepted', 'started', 'submitted'].includes(task.status);
}
