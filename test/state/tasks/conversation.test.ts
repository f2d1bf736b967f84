// Messages of a task: one open question at a time, answered by the other side, and what each side has not read.
import { describe, expect, it } from 'vitest';
import type { Author, MessageCommand } from '../../../src/state/tasks/conversation.ts';
import { MAX_MESSAGES } from '../../../src/state/tasks/conversation.ts';
import { openQuestionOf, unreadBy } from '../../../src/state/tasks/conversation-status.ts';
import { decide } from '../../../src/state/tasks/decide.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { offerView, taskView, workerTaskView } from '../../../src/state/tasks/view.ts';
import { ACCEPTED, contextAt, OFFER, OFFER_ENDS, taskAfter, taskIn, WORKER } from '../../support/tasks.ts';

const WORKERS: Author = { kind: 'worker', id: WORKER };
const REQUESTER: Author = { kind: 'requester', id: 'api_key:1' };

let made = 0;
function message(author: Author, more: Partial<MessageCommand> = {}): MessageCommand {
  made += 1;
  const plain = { text: `text ${made}`, is_question: false, answers: null };
  return { name: 'message', message_id: `m-${made}`, author, ...plain, ...more };
}

const following = (task: Task, ...commands: Parameters<typeof taskAfter>[1]) =>
  taskAfter(task, commands, ACCEPTED);

function refusalOf(task: Task, command: MessageCommand): string | null {
  const decision = decide(task, [command], contextAt(ACCEPTED));
  return decision.ok ? null : decision.refusal.code;
}

const question = message(WORKERS, { is_question: true });
const asked = following(taskIn('started'), question);

describe('a question', () => {
  it('is open until the other side answers it', () => {
    const { message_id, text } = question;
    expect(openQuestionOf(asked)).toEqual({ message_id, text, author: WORKERS, asked_at: ACCEPTED });
    expect(refusalOf(asked, message(REQUESTER, { is_question: true }))).toBe('question_open');
    expect(refusalOf(asked, message(WORKERS, { answers: message_id }))).toBe('question_not_open');
    expect(refusalOf(asked, message(REQUESTER, { answers: 'other' }))).toBe('question_not_open');
    const answered = following(asked, message(REQUESTER, { answers: message_id }));
    expect(openQuestionOf(answered)).toBeNull();
    expect(refusalOf(answered, message(REQUESTER, { answers: message_id }))).toBe('question_not_open');
    expect(refusalOf(answered, message(REQUESTER, { is_question: true }))).toBeNull();
  });

  it('stays open over other messages and over a return to the queue', () => {
    const more = following(asked, message(WORKERS), message(REQUESTER));
    const queued = following(more, { name: 'release', worker_id: WORKER, reason: null });
    expect(openQuestionOf(queued)?.message_id).toBe(question.message_id);
  });

  it('is over when the task is final', () => {
    const done = following(asked, { name: 'cancel', reason: null });
    expect([openQuestionOf(done), unreadBy('requester', done)]).toEqual([null, 0]);
  });
});

describe('an event of a message', () => {
  it.each([
    ['question_asked', taskIn('started'), message(WORKERS, { is_question: true }), {}],
    ['message_added', taskIn('queued'), message(REQUESTER), {}],
    [
      'question_answered',
      asked,
      message(REQUESTER, { answers: question.message_id }),
      { answers: question.message_id },
    ],
  ])('is task.%s', (type, task, command, more) => {
    const decision = decide(task, [command], contextAt(ACCEPTED));
    if (!decision.ok) throw new Error(decision.refusal.message);
    const { message_id, author, text } = command;
    expect(decision.events).toMatchObject([
      {
        type: `task.${type}`,
        status: task.status,
        previous_status: task.status,
        data: { message_id, author, text, ...more },
      },
    ]);
  });
});

describe('a message', () => {
  it('is refused from a worker who does not hold the task', () => {
    expect(refusalOf(taskIn('started'), message({ kind: 'worker', id: 'other' }))).toBe('not_yours');
    expect(refusalOf(taskIn('queued'), message(WORKERS))).toBe('not_yours');
    expect(refusalOf(taskIn('completed'), message(WORKERS))).toBe('invalid_transition');
  });

  it('is refused when the task has as many as it may have', () => {
    let task = taskIn('started');
    for (let count = 0; count < MAX_MESSAGES; count += 1) task = following(task, message(REQUESTER));
    expect(refusalOf(task, message(WORKERS))).toBe('too_many_messages');
  });
});

describe('unread messages', () => {
  const unread = (task: Task) => [unreadBy('worker', task), unreadBy('requester', task)];

  it('are those of the other side since this side read or wrote', () => {
    const three = following(taskIn('started'), message(WORKERS), message(WORKERS), message(WORKERS));
    expect(unread(three)).toEqual([0, 3]);
    const two = following(three, { name: 'read_messages', side: 'requester', through: 2 });
    expect(unread(two)).toEqual([0, 1]);
    expect(unread(following(two, { name: 'read_messages', side: 'requester', through: 1 }))).toEqual([0, 1]);
    expect(unread(following(two, { name: 'read_messages', side: 'requester', through: 99 }))).toEqual([0, 0]);
    expect(unread(following(two, message(REQUESTER)))).toEqual([1, 0]);
  });

  it('are all of them for the next worker', () => {
    const released = following(asked, message(WORKERS), { name: 'release', worker_id: WORKER, reason: null });
    const next = following(
      released,
      { name: 'match', worker_ids: ['next'] },
      { name: 'offer', offers: [{ offer_id: 'offer-2', worker_id: 'next', expires_at: OFFER_ENDS }] },
      { name: 'accept', offer_id: 'offer-2', worker_id: 'next' },
    );
    expect(unreadBy('worker', next)).toBe(2);
  });
});

describe('the views', () => {
  it('tell both sides of the question, and the worker not which credential asked', () => {
    const task = following(taskIn('started'), message(REQUESTER, { is_question: true, text: 'Who?' }));
    expect(taskView(task)).toMatchObject({
      open_question: { text: 'Who?', author: REQUESTER },
      unread_messages: 0,
    });
    expect(workerTaskView(task)).toMatchObject({
      open_question: { text: 'Who?', author: { kind: 'requester', id: null } },
      unread_messages: 1,
    });
    expect(JSON.stringify(workerTaskView(task))).not.toContain(REQUESTER.id);
  });

  it('tell a worker who is offered the task nothing of its messages', () => {
    const task = following(taskIn('offered'), message(REQUESTER, { is_question: true, text: 'Secret?' }));
    const offer = task.offers.find((one) => one.offer_id === OFFER);
    if (offer === undefined) throw new Error('no offer');
    expect(JSON.stringify(offerView(task, offer))).not.toMatch(/Secret|question|unread/);
  });
});
