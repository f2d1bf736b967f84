// A dialog that changes one task: its form, its errors, and what happens when the task was changed meanwhile.

import { ApiError, type Task } from '@biolayer/sdk';
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { problemText } from '../../shared/api/problem-text.ts';
import { queries } from '../../shared/api/queries.tsx';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Dialog } from '../../shared/ui/dialog.tsx';
import { ErrorSummary, type FormError } from '../../shared/ui/error-summary.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useTaskText } from '../messages.ts';
import { TASK_KEY } from '../org-events.tsx';
import { noteTask } from './task-queries.ts';

/**
 * @param send makes the change; it returns the errors of the form instead when something is missing.
 * @param explain the errors for an answer of the API that this dialog knows; null for others.
 */
export function ActionDialog({
  title,
  submit,
  done,
  task,
  danger = false,
  keep,
  send,
  explain = () => null,
  onClose,
  children,
}: {
  title: string;
  submit: string;
  /** What the person is told afterwards. */
  done: string;
  task: Task;
  danger?: boolean;
  /** Name of the button that closes the dialog without a change. */
  keep?: string;
  send: () => Promise<Task> | readonly FormError[];
  explain?: (error: ApiError) => readonly FormError[] | null;
  onClose: () => void;
  children: (errorOf: (fieldId: string) => string | undefined) => ReactNode;
}) {
  const { actions } = useTaskText();
  const shared = useShared();
  const toast = useToast();
  const formId = useId();
  const [errors, setErrors] = useState<readonly FormError[]>([]);
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setBusy] = useState(false);
  const start = async (event: FormEvent) => {
    event.preventDefault();
    if (isBusy) return;
    setAttempt(attempt + 1);
    const sent = send();
    if (!(sent instanceof Promise)) return setErrors(sent);
    setBusy(true);
    try {
      noteTask(await sent);
      toast(done);
      onClose();
    } catch (error) {
      const known = error instanceof ApiError ? explain(error) : null;
      if (error instanceof ApiError && error.status === 412) {
        await queries.invalidateQueries({ queryKey: [TASK_KEY, task.task_id] });
        setErrors([{ message: actions.stale }]);
      } else setErrors(known ?? fieldErrors(error) ?? [{ message: problemText(error, shared) }]);
      setBusy(false);
    }
  };
  const errorOf = (fieldId: string) => errors.find((one) => one.fieldId === fieldId)?.message;
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{keep ?? shared.cancel}</Button>
          <Button look={danger ? 'danger' : 'primary'} type="submit" form={formId} busy={isBusy}>
            {submit}
          </Button>
        </>
      }
    >
      <form id={formId} className="stack" onSubmit={(event) => void start(event)} noValidate>
        <ErrorSummary errors={errors} attempt={attempt} />
        {children(errorOf)}
      </form>
    </Dialog>
  );
}

/** The errors of single fields in an answer of 422. */
function fieldErrors(error: unknown): readonly FormError[] | null {
  if (!(error instanceof ApiError) || error.errors.length === 0) return null;
  return error.errors.map(({ pointer, message }) => ({ message: `${pointer}: ${message}` }));
}
