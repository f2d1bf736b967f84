// Messages between the worker and the requester of a task. One of them can be a question that waits for its answer.

import type { Message, WorkerTask } from '@biolayer/sdk';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Badge } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Banner, Card, Skeleton } from '../../shared/ui/containers.tsx';
import { Choice, TextAreaField } from '../../shared/ui/field.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useShortcuts } from '../../shared/ui/shortcuts.tsx';
import { renew, useTaskMessages } from '../data.ts';
import { useWork } from '../messages.ts';
import { useAction } from '../use-action.ts';

export function Conversation({ task }: { task: WorkerTask }) {
  const text = useWork().messages;
  const messages = useTaskMessages(task.task_id);
  const last = messages.data?.at(-1)?.number;
  const { task_id, unread_messages: unread } = task;
  useEffect(() => {
    if (unread === 0 || last === undefined) return;
    void api.worker
      .markMessagesRead(task_id, { through: last })
      .then(() => renew('task', task_id))
      .catch(() => undefined);
  }, [task_id, unread, last]);
  return (
    <Card title={text.title}>
      {messages.isPending ? (
        <Skeleton lines={2} />
      ) : messages.isError ? (
        <Problem error={messages.error} onRetry={() => void messages.refetch()} />
      ) : messages.data.length === 0 ? (
        <p className="muted">{text.none}</p>
      ) : (
        <List messages={messages.data} />
      )}
      <Composer task={task} />
    </Card>
  );
}

function List({ messages }: { messages: readonly Message[] }) {
  const text = useWork().messages;
  const format = useFormat();
  const end = useRef<HTMLUListElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new message is scrolled to.
  useEffect(() => {
    end.current?.scrollTo({ top: end.current.scrollHeight });
  }, [messages.length]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard.
    <ul ref={end} className="messages" aria-label={text.title} aria-live="polite" tabIndex={0}>
      {messages.map((message) => {
        const isOwn = message.author.kind === 'worker';
        return (
          <li key={message.message_id} className={isOwn ? 'message message-own' : 'message'}>
            <div className="row small muted">
              <strong>{isOwn ? text.you : text.requester}</strong>
              <time dateTime={message.sent_at}>{format.dateTime(message.sent_at)}</time>
              {message.question && <Badge tone="violet">{text.question}</Badge>}
              {message.answers !== null && <Badge>{text.answerTo}</Badge>}
            </div>
            <p className="plain-text">{message.text}</p>
          </li>
        );
      })}
    </ul>
  );
}

function Composer({ task }: { task: WorkerTask }) {
  const text = useWork().messages;
  const { shortcuts } = useWork();
  const { open_question: question, task_id } = task;
  const isAsked = question?.author.kind === 'requester';
  const kept = `biolayer-message ${task_id}`;
  const [message, setMessage] = useState(() => sessionStorage.getItem(kept) ?? '');
  const [isQuestion, setQuestion] = useState(false);
  const [error, setError] = useState<string>();
  const field = useRef<HTMLDivElement>(null);
  const write = (value: string) => {
    setMessage(value);
    setError(undefined);
    sessionStorage.setItem(kept, value);
  };
  const { isBusy, run } = useAction(async () => {
    await api.worker.sendMessage(task_id, {
      text: message.trim(),
      ...(isAsked && question !== null && { answers: question.message_id }),
      ...(!isAsked && isQuestion && { question: true as const }),
    });
    write('');
    setQuestion(false);
    await Promise.all([renew('messages', task_id), renew('task', task_id)]);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (message.trim() === '') setError(text.empty);
    else run();
  };
  useShortcuts([
    { key: 'm', label: shortcuts.message, run: () => field.current?.querySelector('textarea')?.focus() },
  ]);
  return (
    <form className="stack stack-tight" onSubmit={submit} noValidate>
      {isAsked && (
        <Banner tone="violet" title={text.asked}>
          <p className="plain-text">{question?.text}</p>
        </Banner>
      )}
      <div ref={field}>
        <TextAreaField
          label={isAsked ? text.answer : text.write}
          error={error}
          maxLength={10_000}
          value={message}
          onChange={(event) => write(event.target.value)}
        />
      </div>
      <div className="row row-between">
        {!isAsked && question === null ? (
          <Choice
            type="checkbox"
            checked={isQuestion}
            onChange={(event) => setQuestion(event.target.checked)}
          >
            {text.asQuestion}
          </Choice>
        ) : (
          <span />
        )}
        <Button type="submit" icon="message" busy={isBusy}>
          {text.send}
        </Button>
      </div>
    </form>
  );
}
