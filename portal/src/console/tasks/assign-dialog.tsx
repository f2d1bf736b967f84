// Gives a task to a named worker, as an offer or at once.

import { useId, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useFormat, useShared } from '../../shared/i18n/messages.tsx';
import { Choice, FieldGroup, SelectField, TextField } from '../../shared/ui/field.tsx';
import { useMay } from '../member.tsx';
import { useTaskText } from '../messages.ts';
import { useWorkers } from '../people.ts';
import { ActionDialog } from './action-dialog.tsx';
import type { DialogProps } from './decision-dialogs.tsx';
import { ifUnchanged } from './task-queries.ts';

export function AssignDialog({ task, onClose }: DialogProps) {
  const { assign: text, actions, requirementNames } = useTaskText();
  const shared = useShared();
  const format = useFormat();
  const id = useId();
  const workers = useWorkers();
  const mayList = useMay('workers:read');
  const [workerId, setWorkerId] = useState('');
  const [mode, setMode] = useState<'offer' | 'assign'>('offer');
  const [isForced, setForced] = useState(false);
  const names: Partial<Record<string, string>> = requirementNames;
  return (
    <ActionDialog
      title={text.title}
      submit={actions.assign}
      done={actions.done.assign}
      task={task}
      onClose={onClose}
      explain={({ code, problem }) => {
        if (code !== 'worker_not_eligible') return null;
        const reasons = problem?.reasons?.map(({ reason }) => names[reason] ?? reason) ?? [];
        return [
          { fieldId: id, message: `${text.notEligible} ${format.list(reasons)}` },
          { message: text.forceHint },
        ];
      }}
      send={() =>
        workerId.trim() === ''
          ? [{ fieldId: id, message: text.noWorker }]
          : api.tasks.assign(
              task.task_id,
              { worker_id: workerId.trim(), mode, ...(isForced && { force: true }) },
              ifUnchanged(task),
            )
      }
    >
      {(errorOf) => (
        <>
          {mayList ? (
            <SelectField
              id={id}
              label={text.worker}
              error={errorOf(id)}
              value={workerId}
              onChange={(event) => setWorkerId(event.target.value)}
            >
              <option value="">{text.choose}</option>
              {workers.map((one) => (
                <option key={one.worker_id} value={one.worker_id}>
                  {one.name} (
                  {text.state(
                    shared.availability[one.availability],
                    format.number(one.active_tasks),
                    format.number(one.capacity),
                  )}
                  )
                </option>
              ))}
            </SelectField>
          ) : (
            <TextField
              id={id}
              label={text.workerId}
              error={errorOf(id)}
              value={workerId}
              onChange={(event) => setWorkerId(event.target.value)}
            />
          )}
          <FieldGroup label={text.mode}>
            {(['offer', 'assign'] as const).map((one) => (
              <Choice
                key={one}
                type="radio"
                name={`${id}-mode`}
                checked={mode === one}
                onChange={() => setMode(one)}
              >
                {text[one]}
              </Choice>
            ))}
          </FieldGroup>
          <Choice type="checkbox" checked={isForced} onChange={(event) => setForced(event.target.checked)}>
            {text.force}
          </Choice>
        </>
      )}
    </ActionDialog>
  );
}
