// Changes urgency, due times, requirements and metadata of a task. Only what the person has changed is sent.

import { useId, useState } from 'react';
import { api } from '../../shared/api/client.ts';
import { useShared } from '../../shared/i18n/messages.tsx';
import { serverNow } from '../../shared/time/now.ts';
import { SelectField, TextAreaField, TextField } from '../../shared/ui/field.tsx';
import { useTaskText } from '../messages.ts';
import { usePools } from '../people.ts';
import { ActionDialog } from './action-dialog.tsx';
import type { DialogProps } from './decision-dialogs.tsx';
import { URGENCIES } from './filters.ts';
import { type EditForm, faultOf, formOf, patchOf } from './task-edit.ts';
import { ifUnchanged } from './task-queries.ts';

export function EditDialog({ task, onClose }: DialogProps) {
  const { edit: text, actions } = useTaskText();
  const shared = useShared();
  const id = useId();
  const pools = usePools();
  const [before] = useState(() => formOf(task));
  const [form, setForm] = useState(before);
  const set = (change: Partial<EditForm>) => setForm({ ...form, ...change });
  const messages = {
    deadline: text.past,
    latency: text.badNumber,
    trust: text.badNumber,
    rating: text.badNumber,
    metadata: text.badMetadata,
  };
  const send = () => {
    const fault = faultOf(before, form, serverNow());
    if (fault !== null) return [{ fieldId: `${id}-${fault}`, message: messages[fault] }];
    const patch = patchOf(before, form);
    if (patch === null) return [{ message: text.nothing }];
    return api.tasks.update(task.task_id, patch, ifUnchanged(task));
  };
  return (
    <ActionDialog
      title={text.title}
      submit={shared.save}
      done={actions.done.edit}
      task={task}
      onClose={onClose}
      send={send}
    >
      {(errorOf) => {
        const field = (name: keyof EditForm) => ({
          id: `${id}-${name}`,
          label: text[name],
          error: errorOf(`${id}-${name}`),
          value: form[name],
        });
        const typed = (name: keyof EditForm) => ({
          ...field(name),
          onChange: (event: { target: { value: string } }) => set({ [name]: event.target.value }),
        });
        const isKnownPool = form.pool === '' || pools.some((one) => one.pool_id === form.pool);
        return (
          <>
            <SelectField {...typed('urgency')}>
              {URGENCIES.map((one) => (
                <option key={one} value={one}>
                  {shared.urgency[one]}
                </option>
              ))}
            </SelectField>
            <TextField type="datetime-local" step={1} optional {...typed('deadline')} />
            <TextField inputMode="numeric" optional {...typed('latency')} />
            <SelectField {...typed('pool')}>
              <option value="">{text.anyPool}</option>
              {!isKnownPool && <option value={form.pool}>{form.pool}</option>}
              {pools.map(({ pool_id, name }) => (
                <option key={pool_id} value={pool_id}>
                  {name}
                </option>
              ))}
            </SelectField>
            <TextField optional hint={text.several} {...typed('skills')} />
            <TextField optional hint={text.several} {...typed('certifications')} />
            <TextField inputMode="decimal" optional {...typed('trust')} />
            <TextField inputMode="decimal" optional {...typed('rating')} />
            <TextAreaField optional hint={text.metadataHint} {...typed('metadata')} />
          </>
        );
      }}
    </ActionDialog>
  );
}
