// The form with all filters of the API. Nothing changes before it is applied.

import { type FormEvent, useId, useState } from 'react';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Choice, FieldGroup, SelectField, TextField } from '../../shared/ui/field.tsx';
import { useTasks } from '../messages.ts';
import { usePools, useWorkers } from '../people.ts';
import { changed, type Filters, FLAGS, STATUSES, type TextList, URGENCIES } from './filters.ts';

/** Filters whose values are typed, separated by commas. */
const TYPED = ['domain', 'task_type', 'product', 'request_id'] as const satisfies readonly TextList[];
const WORDS: ReadonlySet<string> = new Set(['domain', 'task_type']);
const WORD = /^[a-z][a-z0-9_]{0,63}$/;

export function FilterForm({ filters, onApply }: { filters: Filters; onApply: (filters: Filters) => void }) {
  const { filters: text } = useTasks();
  const shared = useShared();
  const [draft, setDraft] = useState(filters);
  const [typed, setTyped] = useState(() =>
    Object.fromEntries(TYPED.map((name) => [name, filters[name]?.join(', ') ?? ''])),
  );
  const [errors, setErrors] = useState<Partial<Record<string, string>>>({});
  const base = useId();
  const set = (change: Partial<Record<keyof Filters, unknown>>) => setDraft(changed(draft, change));

  const apply = (event: FormEvent) => {
    event.preventDefault();
    const lists = TYPED.map((name) => [name, valuesOf(typed[name] ?? '')] as const);
    const wrong = lists.filter(([name, values]) => WORDS.has(name) && !values.every((one) => WORD.test(one)));
    setErrors(Object.fromEntries(wrong.map(([name]) => [name, text.invalidWord])));
    const [first] = wrong;
    if (first !== undefined) return document.getElementById(`${base}-${first[0]}`)?.focus();
    onApply(changed(draft, Object.fromEntries(lists)));
  };

  return (
    <form className="filter-form" onSubmit={apply} noValidate>
      <FieldGroup label={text.status}>
        <Several
          values={STATUSES}
          chosen={draft.status ?? []}
          labelOf={(one) => shared.status[one]}
          onChange={(status) => set({ status })}
        />
      </FieldGroup>
      <FieldGroup label={text.urgency}>
        <Several
          values={URGENCIES}
          chosen={draft.urgency ?? []}
          labelOf={(one) => shared.urgency[one]}
          onChange={(urgency) => set({ urgency })}
        />
      </FieldGroup>
      <div className="stack">
        {TYPED.map((name) => (
          <TextField
            key={name}
            id={`${base}-${name}`}
            label={text[name]}
            hint={name === 'domain' ? text.several : undefined}
            error={errors[name]}
            value={typed[name] ?? ''}
            onChange={(event) => setTyped({ ...typed, [name]: event.target.value })}
          />
        ))}
      </div>
      <div className="stack">
        <Chosen name="pool" draft={draft} onChange={set} options={usePools().map(nameOfPool)} />
        <Chosen name="assigned_to" draft={draft} onChange={set} options={useWorkers().map(nameOfWorker)} />
        {(['created_after', 'created_before'] as const).map((name) => (
          <TextField
            key={name}
            type="date"
            label={text[name]}
            value={draft[name] ?? ''}
            onChange={(event) => set({ [name]: event.target.value })}
          />
        ))}
      </div>
      <div className="stack">
        {FLAGS.map((name) => (
          <SelectField
            key={name}
            label={text[name]}
            value={String(draft[name] ?? '')}
            onChange={({ target }) =>
              set({ [name]: target.value === '' ? undefined : target.value === 'true' })
            }
          >
            <option value="">{text.any}</option>
            <option value="true">{shared.yes}</option>
            <option value="false">{shared.no}</option>
          </SelectField>
        ))}
        <Order draft={draft} onChange={set} />
      </div>
      <div className="row filter-actions">
        <Button look="primary" type="submit">
          {text.apply}
        </Button>
        <Button onClick={() => onApply({})}>{text.clear}</Button>
      </div>
    </form>
  );
}

type Change = (change: Partial<Record<keyof Filters, unknown>>) => void;

function Order({ draft, onChange }: { draft: Filters; onChange: Change }) {
  const { filters: text } = useTasks();
  const value = draft.order_by === 'deadline' ? 'deadline' : draft.order === 'asc' ? 'oldest' : 'newest';
  return (
    <SelectField
      label={text.order}
      value={value}
      onChange={({ target }) =>
        onChange({
          order_by: target.value === 'deadline' ? 'deadline' : undefined,
          order: target.value === 'oldest' ? 'asc' : undefined,
        })
      }
    >
      {(['newest', 'oldest', 'deadline'] as const).map((one) => (
        <option key={one} value={one}>
          {text.orders[one]}
        </option>
      ))}
    </SelectField>
  );
}

function Several<Value extends string>({
  values,
  chosen,
  labelOf,
  onChange,
}: {
  values: readonly Value[];
  chosen: readonly Value[];
  labelOf: (value: Value) => string;
  onChange: (chosen: Value[]) => void;
}) {
  return values.map((value) => (
    <Choice
      key={value}
      type="checkbox"
      checked={chosen.includes(value)}
      onChange={({ target }) =>
        onChange(target.checked ? [...chosen, value] : chosen.filter((one) => one !== value))
      }
    >
      {labelOf(value)}
    </Choice>
  ));
}

/** A pool or worker, chosen from those that are known; a value of the address that is not among them stays. */
function Chosen({
  name,
  draft,
  options,
  onChange,
}: {
  name: 'pool' | 'assigned_to';
  draft: Filters;
  options: readonly (readonly [id: string, name: string])[];
  onChange: Change;
}) {
  const { filters: text } = useTasks();
  const value = draft[name]?.join(',') ?? '';
  const isKnown = value === '' || options.some(([id]) => id === value);
  return (
    <SelectField
      label={text[name]}
      value={value}
      onChange={({ target }) =>
        onChange({ [name]: target.value === '' ? undefined : target.value.split(',') })
      }
    >
      <option value="">{text.any}</option>
      {!isKnown && <option value={value}>{value}</option>}
      {options.map(([id, label]) => (
        <option key={id} value={id}>
          {label}
        </option>
      ))}
    </SelectField>
  );
}

const nameOfPool = (pool: { pool_id: string; name: string }) => [pool.pool_id, pool.name] as const;
const nameOfWorker = (worker: { worker_id: string; name: string }) =>
  [worker.worker_id, worker.name] as const;

function valuesOf(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}
