// The conversation between the requester of a task and its worker: messages, of which one may be a question that waits for
// an answer. The texts are stored beside the task; the task itself knows how many there are and the open question.

export const SIDES = ['worker', 'requester'] as const;
export type Side = (typeof SIDES)[number];

/** Most messages of a task. */
export const MAX_MESSAGES = 200;

/** Who wrote a message: the id of the worker, or the actor of the requester's credential (`api_key:<id>` …). */
export interface Author {
  kind: Side;
  id: string;
}

export interface OpenQuestion {
  message_id: string;
  text: string;
  author: Author;
  /** ms. */
  asked_at: number;
}

export interface Conversation {
  /** Number of messages so far. */
  count: number;
  open_question: OpenQuestion | null;
  /** How many of the messages the requester's side has read. */
  read_by_requester: number;
  /** How many the worker has read under the assignment that began with this offer. */
  read_by_worker: { offer_id: string; count: number } | null;
}

export interface MessageCommand {
  name: 'message';
  message_id: string;
  author: Author;
  text: string;
  /** The message is a question that waits for an answer of the other side. */
  is_question: boolean;
  /** The open question that it answers. */
  answers: string | null;
}

export interface ReadCommand {
  name: 'read_messages';
  side: Side;
  /** Number of the last message that was read. */
  through: number;
}
