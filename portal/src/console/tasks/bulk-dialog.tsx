// Starts one change of many tasks, after it has been counted which it concerns.

import type { CreateBulkActionRequest, TaskFilter } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useId, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { problemText } from '../../shared/api/problem-text.ts';
import { queries } from '../../shared/api/queries.tsx';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Dialog } from '../../shared/ui/dialog.tsx';
import { ErrorSummary, type FormError } from '../../shared/ui/error-summary.tsx';
import { SelectField, TextAreaField, TimeField } from '../../shared/ui/field.tsx';
import { Problem } from '../../shared/ui/problem.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useTasks } from '../messages.ts';
import { type Action, BULK_KEY, bodyOf, countable, type Draft, missingField } from './bulk-actions.ts';
import { URGENCIES } from './filters.ts';

type Tasks = { filter: TaskFilter } | { task_ids: string[] };

export function BulkDialog({
  actions,
  tasks,
  onClose,
  onStarted,
}: {
  actions: readonly Action[];
  tasks: Tasks;
  onClose: () => void;
  onStarted: () => void;
}) {
  const text = useTasks().bulk;
  const shared = useShared();
  const toast = useToast();
  const id = useId();
  const [draft, setDraft] = useState<Draft>({
    action: actions[0] ?? 'cancel',
    words: '',
    urgency: '',
    deadline: '',
  });
  const [errors, setErrors] = useState<readonly FormError[]>([]);
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setBusy] = useState(false);
  const { action } = draft;
  const count = useQuery({
    queryKey: ['bulk-count', action, tasks],
    queryFn: () => api.bulkActions.create({ ...countable(action), ...tasks, dry_run: true }),
    staleTime: 0,
  });

  const errorOf = (field: string) => errors.find((one) => one.fieldId === `${id}-${field}`)?.message;
  const start = async (event: FormEvent) => {
    event.preventDefault();
    setAttempt(attempt + 1);
    const fault = missingField(draft);
    const messages = {
      words: action === 'requeue' ? text.noReason : text.noFeedback,
      urgency: text.noChange,
    };
    if (fault !== null) return setErrors([{ fieldId: `${id}-${fault}`, message: messages[fault] }]);
    setBusy(true);
    try {
      await api.bulkActions.create({ ...bodyOf(draft), ...tasks } as CreateBulkActionRequest & {
        dry_run?: false;
      });
      await queries.invalidateQueries({ queryKey: BULK_KEY });
      toast(text.started);
      onStarted();
    } catch (error) {
      setErrors([{ message: problemText(error, shared) }]);
      setBusy(false);
    }
  };

  return (
    <Dialog
      title={text.title}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{shared.cancel}</Button>
          <Button
            look={action === 'cancel' || action === 'reject' ? 'danger' : 'primary'}
            type="submit"
            form={id}
            busy={isBusy}
            disabled={count.data?.matched === 0}
          >
            {text.start}: {text.actions[action]}
          </Button>
        </>
      }
    >
      <form id={id} className="stack" onSubmit={(event) => void start(event)} noValidate>
        <ErrorSummary errors={errors} attempt={attempt} />
        <SelectField
          label={text.action}
          value={action}
          onChange={({ target }) => {
            setErrors([]);
            setDraft({ ...draft, action: target.value as Action });
          }}
        >
          {actions.map((one) => (
            <option key={one} value={one}>
              {text.actions[one]}
            </option>
          ))}
        </SelectField>
        {action === 'update' ? (
          <>
            <SelectField
              id={`${id}-urgency`}
              label={text.urgency}
              error={errorOf('urgency')}
              value={draft.urgency}
              onChange={({ target }) => setDraft({ ...draft, urgency: target.value })}
            >
              <option value="">{text.keep}</option>
              {URGENCIES.map((one) => (
                <option key={one} value={one}>
                  {shared.urgency[one]}
                </option>
              ))}
            </SelectField>
            <TimeField
              label={text.deadline}
              optional
              value={draft.deadline}
              onChange={(deadline) => setDraft({ ...draft, deadline })}
            />
          </>
        ) : (
          <TextAreaField
            id={`${id}-words`}
            label={action === 'approve' || action === 'reject' ? text.feedback : text.reason}
            optional={action === 'cancel' || action === 'approve'}
            error={errorOf('words')}
            maxLength={2000}
            value={draft.words}
            onChange={({ target }) => setDraft({ ...draft, words: target.value })}
          />
        )}
        {count.isError ? (
          <Problem error={count.error} onRetry={() => void count.refetch()} />
        ) : (
          <p role="status">
            {count.data === undefined
              ? text.counting
              : count.data.matched === 0
                ? text.nothing
                : count.data.is_exact
                  ? text.exactly(count.data.matched)
                  : text.atLeast(count.data.matched)}
          </p>
        )}
      </form>
    </Dialog>
  );
}
