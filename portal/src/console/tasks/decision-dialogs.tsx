// The dialogs that take a task back, cancel it, and decide the dispute of its rejection.

import type { Task } from '@biolayer/sdk';
import { useId, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { Choice, FieldGroup, TextAreaField } from '../../shared/ui/field.tsx';
import { useTaskText } from '../messages.ts';
import { ActionDialog } from './action-dialog.tsx';
import { ifUnchanged } from './task-queries.ts';

export interface DialogProps {
  task: Task;
  onClose: () => void;
}

const LONGEST = 2000;

export function RequeueDialog({ task, onClose }: DialogProps) {
  const { requeue: text, actions } = useTaskText();
  const id = useId();
  const [reason, setReason] = useState('');
  return (
    <ActionDialog
      title={text.title}
      submit={actions.requeue}
      done={actions.done.requeue}
      task={task}
      onClose={onClose}
      send={() =>
        reason.trim() === ''
          ? [{ fieldId: id, message: text.noReason }]
          : api.tasks.requeue(task.task_id, { reason }, ifUnchanged(task))
      }
    >
      {(errorOf) => (
        <>
          <p>{text.hint}</p>
          <TextAreaField
            id={id}
            label={text.reason}
            error={errorOf(id)}
            value={reason}
            maxLength={LONGEST}
            onChange={(event) => setReason(event.target.value)}
          />
        </>
      )}
    </ActionDialog>
  );
}

export function CancelDialog({ task, onClose }: DialogProps) {
  const { cancel: text, actions } = useTaskText();
  const [reason, setReason] = useState('');
  return (
    <ActionDialog
      title={text.title}
      submit={actions.cancel}
      done={actions.done.cancel}
      keep={text.keep}
      danger
      task={task}
      onClose={onClose}
      send={() => api.tasks.cancel(task.task_id, reason.trim() === '' ? {} : { reason }, ifUnchanged(task))}
    >
      {() => (
        <>
          <p>{text.hint}</p>
          <TextAreaField
            label={text.reason}
            optional
            value={reason}
            maxLength={LONGEST}
            onChange={(event) => setReason(event.target.value)}
          />
        </>
      )}
    </ActionDialog>
  );
}

export function ResolveDialog({ task, onClose }: DialogProps) {
  const { resolve: text, actions } = useTaskText();
  const id = useId();
  const [decision, setDecision] = useState<'uphold' | 'overturn'>();
  const [words, setWords] = useState('');
  const feedback = task.reviews.at(-1)?.feedback;
  return (
    <ActionDialog
      title={text.title}
      submit={actions.resolve}
      done={actions.done.resolve}
      task={task}
      onClose={onClose}
      send={() =>
        decision === undefined
          ? [{ fieldId: id, message: text.noDecision }]
          : api.tasks.resolveDispute(
              task.task_id,
              { decision, ...(words.trim() !== '' && { text: words }) },
              ifUnchanged(task),
            )
      }
    >
      {(errorOf) => (
        <>
          {typeof feedback === 'string' && (
            <section>
              <h3>{text.rejected}</h3>
              <p className="plain-text">{feedback}</p>
            </section>
          )}
          <section>
            <h3>{text.dispute}</h3>
            <p className="plain-text">{task.dispute?.text}</p>
          </section>
          <FieldGroup id={id} label={text.decision} error={errorOf(id)}>
            {(['uphold', 'overturn'] as const).map((one) => (
              <Choice
                key={one}
                type="radio"
                name={`${id}-decision`}
                checked={decision === one}
                onChange={() => setDecision(one)}
              >
                {text[one]}
              </Choice>
            ))}
          </FieldGroup>
          <TextAreaField
            label={text.text}
            optional
            value={words}
            maxLength={LONGEST}
            onChange={(event) => setWords(event.target.value)}
          />
        </>
      )}
    </ActionDialog>
  );
}
