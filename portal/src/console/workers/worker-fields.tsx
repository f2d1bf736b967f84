// The fields of a worker, for the form that makes one and the form that changes one.

import type { Form } from '../../shared/forms/use-form.ts';
import { Choice, FieldGroup, TextField } from '../../shared/ui/field.tsx';
import { useMember } from '../member.tsx';
import { useConsoleWorkers } from '../messages.ts';
import { PoolChoice } from '../pools/pool-choice.tsx';
import type { WorkerDraft, WorkerField } from './worker-draft.ts';
import '../console.css';

export function WorkerFields({
  form,
  draft,
  isNew,
  onChange,
}: {
  form: Form<WorkerField>;
  draft: WorkerDraft;
  isNew: boolean;
  onChange: (draft: WorkerDraft) => void;
}) {
  const { fields, hints } = useConsoleWorkers();
  const { pools = ['*'] } = useMember();
  const set = (change: Partial<WorkerDraft>) => onChange({ ...draft, ...change });
  const text = (name: 'worker_id' | 'skills' | 'certifications' | 'trust_level' | 'rating' | 'capacity') => ({
    ...form.field(name),
    label: fields[name],
    value: draft[name],
    onChange: (event: { target: { value: string } }) => set({ [name]: event.target.value }),
  });
  const number = { inputMode: 'decimal', className: 'input input-short' } as const;
  return (
    <>
      <TextField
        {...form.field('name')}
        label={fields.name}
        maxLength={200}
        autoComplete="off"
        value={draft.name}
        onChange={(event) => set({ name: event.target.value })}
      />
      {isNew && (
        <TextField
          {...text('worker_id')}
          optional
          hint={hints.worker_id}
          autoComplete="off"
          spellCheck={false}
        />
      )}
      <PoolChoice
        {...form.field('pool_ids')}
        label={fields.pool_ids}
        value={draft.pool_ids}
        onChange={(pool_ids) => set({ pool_ids })}
      />
      {pools.includes('*') && (
        <FieldGroup {...form.field('unpooled_tasks')} label={fields.unpooled_tasks}>
          <Choice
            type="checkbox"
            checked={draft.unpooled_tasks}
            onChange={(event) => set({ unpooled_tasks: event.target.checked })}
          >
            {hints.unpooled_tasks}
          </Choice>
        </FieldGroup>
      )}
      <TextField {...text('skills')} optional hint={hints.skills} autoComplete="off" />
      <TextField {...text('certifications')} optional hint={hints.skills} autoComplete="off" />
      <div className="field-columns">
        <TextField {...text('trust_level')} {...number} hint={hints.trust_level} />
        <TextField {...text('rating')} {...number} hint={hints.rating} />
        <TextField {...text('capacity')} {...number} inputMode="numeric" hint={hints.capacity} />
      </div>
    </>
  );
}
