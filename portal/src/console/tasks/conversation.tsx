// Messages between the team and the worker of a task. What is typed is kept in this tab until it is sent.

import type { Message, Task } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useEffect, useId, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { problemText } from '../../shared/api/problem-text.ts';
import { queries } from '../../shared/api/queries.tsx';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Badge } from '../../shared/ui/badge.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { EmptyState, Skeleton } from '../../shared/ui/containers.tsx';
import { ErrorSummary } from '../../shared/ui/error-summary.tsx';
import { Segmented, TextAreaField } from '../../shared/ui/field.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useShortcuts } from '../../shared/ui/shortcuts.tsx';
import { useMay } from '../member.tsx';
import { useTaskText } from '../messages.ts';
import { TASK_KEY } from '../org-events.tsx';
import { useWorkerName } from '../people.ts';
import { isFinal } from './task-facts.ts';

export function Conversation({ task }: { task: Task }) {
  const text = useTaskText().messages;
  const mayWrite = useMay('messages:write');
  const { task_id, unread_messages } = task;
  const { data, error, isError, refetch } = useQuery({
    queryKey: [TASK_KEY, task_id, 'messages'],
    queryFn: async ({ signal }) => {
      const messages: Message[] = [];
      for await (const one of api.tasks.listMessages(task_id, { limit: 200 }, { signal })) messages.push(one);
      return messages;
    },
  });
  const last = data?.at(-1)?.number;
  useEffect(() => {
    if (last === undefined || unread_messages === 0 || !mayWrite) return;
    // Only a mark; when it fails, the messages stay unread.
    api.tasks
      .markMessagesRead(task_id, { through: last })
      .then(() => queries.invalidateQueries({ queryKey: [TASK_KEY, task_id, 'task'] }))
      .catch(() => undefined);
  }, [task_id, last, unread_messages, mayWrite]);
  if (data === undefined)
    return isError ? <Problem error={error} onRetry={() => void refetch()} /> : <Skeleton lines={4} />;
  return (
    <div className="stack">
      {data.length === 0 ? (
        <EmptyState icon="message" title={text.none} />
      ) : (
        <ol className="messages">
          {data.map((message) => (
            <One key={message.message_id} message={message} />
          ))}
        </ol>
      )}
      {isFinal(task) ? (
        <p className="muted">{text.closed}</p>
      ) : mayWrite ? (
        <Compose task={task} />
      ) : (
        <p className="muted">{text.read}</p>
      )}
    </div>
  );
}

function One({ message }: { message: Message }) {
  const text = useTaskText().messages;
  const format = useFormat();
  const workerName = useWorkerName();
  const { author, question, answers, sent_at } = message;
  const isWorker = author.kind === 'worker';
  const name = isWorker ? (author.id === null ? text.worker : workerName(author.id)) : text.requester;
  return (
    <li className={isWorker ? 'message' : 'message message-own'}>
      <p className="row small">
        <strong>{name}</strong>
        <time className="muted" dateTime={sent_at}>
          {format.dateTime(sent_at)}
        </time>
        {question && <Badge tone="amber">{text.question}</Badge>}
        {answers !== null && <Badge tone="green">{text.answered}</Badge>}
      </p>
      <p className="plain-text">{message.text}</p>
    </li>
  );
}

function Compose({ task }: { task: Task }) {
  const text = useTaskText().messages;
  const shared = useShared();
  const key = `biolayer-message-${task.task_id}`;
  const id = useId();
  const [draft, setDraft] = useState(() => sessionStorage.getItem(key) ?? '');
  const [kind, setKind] = useState<'message' | 'question'>('message');
  const [problem, setProblem] = useState<string>();
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setBusy] = useState(false);
  const { open_question } = task;
  // A question of the worker: what is sent next answers it.
  const answers = open_question?.author.kind === 'worker' ? open_question.message_id : null;
  const type = (value: string) => {
    setDraft(value);
    if (value === '') sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  };
  const send = async (event?: FormEvent) => {
    event?.preventDefault();
    if (isBusy) return;
    setAttempt(attempt + 1);
    if (draft.trim() === '') return setProblem(text.empty);
    setBusy(true);
    try {
      await api.tasks.sendMessage(task.task_id, {
        text: draft,
        ...(answers !== null ? { answers } : kind === 'question' && { question: true as const }),
      });
      setProblem(undefined);
      type('');
      setKind('message');
      await queries.invalidateQueries({ queryKey: [TASK_KEY, task.task_id] });
    } catch (error) {
      setProblem(problemText(error, shared));
    } finally {
      setBusy(false);
    }
  };
  useShortcuts([{ key: 'mod+Enter', label: text.send, run: () => void send() }]);
  return (
    <form className="stack" onSubmit={(event) => void send(event)} noValidate>
      <ErrorSummary
        errors={problem === undefined ? [] : [{ fieldId: `${id}-text`, message: problem }]}
        attempt={attempt}
      />
      <TextAreaField
        id={`${id}-text`}
        label={answers === null ? text.label : text.answerLabel}
        hint={answers === null ? undefined : open_question?.text}
        value={draft}
        maxLength={10_000}
        onChange={(event) => type(event.target.value)}
      />
      <div className="row">
        <Button look="primary" type="submit" busy={isBusy}>
          {answers === null ? text.send : text.sendAnswer}
        </Button>
        {open_question === null && (
          <Segmented
            label={text.kind}
            value={kind}
            onChange={setKind}
            options={[
              { value: 'message', label: text.asMessage },
              { value: 'question', label: text.asQuestion },
            ]}
          />
        )}
      </div>
    </form>
  );
}
