// Views and filters above the list: the views in one row, the active filters as chips, and a form with all of them.

import { type FormEvent, useId, useState } from 'react';
import { Link } from 'wouter';
import { useShared } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Dialog } from '../../shared/ui/dialog.tsx';
import { TextField } from '../../shared/ui/field.tsx';
import { Icon } from '../../shared/ui/icons.tsx';
import { useToast } from '../../shared/ui/toast.tsx';
import { useMember } from '../member.tsx';
import { useTasks } from '../messages.ts';
import { usePoolName, useWorkerName } from '../people.ts';
import { FilterForm } from './filter-form.tsx';
import { changed, type Filters, filtersOf, isUnfiltered, searchOf } from './filters.ts';
import { BUILT_IN, useSavedViews } from './saved-views.ts';

export function FilterBar({ filters, onChange }: { filters: Filters; onChange: (next: Filters) => void }) {
  const text = useTasks();
  const [isOpen, setOpen] = useState(false);
  const [isSaving, setSaving] = useState(false);
  const { org_id } = useMember();
  const saved = useSavedViews(org_id);
  const formId = useId();
  const search = searchOf(filters);
  const all = [
    ...BUILT_IN.map(([name, query]) => ({ label: text.views[name], query, own: false })),
    ...saved.views.map(({ name, search: query }) => ({ label: name, query, own: true })),
  ].map((view) => ({ ...view, query: searchOf(filtersOf(view.query)) }));
  const current = all.find((view) => view.query === search);
  return (
    <div className="filter-bar">
      <nav className="view-list" aria-label={text.view}>
        {all.map(({ label, query }) => (
          <Link
            key={`${label} ${query}`}
            className="view-link"
            href={query === '' ? '/console/tasks' : `/console/tasks?${query}`}
            aria-current={query === search ? 'true' : undefined}
          >
            {label}
          </Link>
        ))}
      </nav>
      <div className="row">
        <Button
          icon="settings"
          aria-expanded={isOpen}
          aria-controls={isOpen ? formId : undefined}
          onClick={() => setOpen(!isOpen)}
        >
          {text.filters.show}
        </Button>
        <Chips filters={filters} onChange={onChange} />
        {current === undefined && !isUnfiltered(filters) && (
          <Button look="quiet" icon="star" onClick={() => setSaving(true)}>
            {text.saveView.button}
          </Button>
        )}
        {current?.own === true && (
          <Button
            look="quiet"
            size="small"
            icon="trash"
            label={text.saveView.remove(current.label)}
            onClick={() => saved.remove(current.label)}
          />
        )}
      </div>
      {isOpen && (
        <div id={formId} className="card">
          <FilterForm
            key={search}
            filters={filters}
            onApply={(next) => {
              setOpen(false);
              onChange(next);
            }}
          />
        </div>
      )}
      {isSaving && <SaveView onClose={() => setSaving(false)} onSave={(name) => saved.save(name, search)} />}
    </div>
  );
}

/** The active filters, each with a button that removes it. */
function Chips({ filters, onChange }: { filters: Filters; onChange: (next: Filters) => void }) {
  const text = useTasks().filters;
  const shared = useShared();
  const workerName = useWorkerName();
  const poolName = usePoolName();
  const { order: _order, order_by: _orderBy, ...rest } = filters;
  const word = (name: string, value: string) => {
    if (name === 'status') return shared.status[value as keyof typeof shared.status];
    if (name === 'urgency') return shared.urgency[value as keyof typeof shared.urgency];
    if (name === 'assigned_to') return workerName(value);
    return name === 'pool' ? poolName(value) : value;
  };
  return Object.entries(rest).map(([key, value]) => {
    const name = key as Exclude<keyof typeof rest, undefined>;
    const shown = Array.isArray(value)
      ? value.map((one) => word(name, one)).join(', ')
      : value === true
        ? shared.yes
        : value === false
          ? shared.no
          : String(value);
    const label = `${text[name]}: ${shown}`;
    return (
      <button
        key={name}
        type="button"
        className="filter-chip"
        aria-label={text.remove(label)}
        onClick={() => onChange(changed(filters, { [name]: undefined }))}
      >
        {label}
        <Icon name="close" />
      </button>
    );
  });
}

function SaveView({ onClose, onSave }: { onClose: () => void; onSave: (name: string) => void }) {
  const text = useTasks().saveView;
  const shared = useShared();
  const toast = useToast();
  const formId = useId();
  const [name, setName] = useState('');
  const [error, setError] = useState<string>();
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === '') return setError(text.noName);
    onSave(name);
    toast(text.saved(name.trim()));
    onClose();
  };
  return (
    <Dialog
      title={text.title}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{shared.cancel}</Button>
          <Button look="primary" type="submit" form={formId}>
            {shared.save}
          </Button>
        </>
      }
    >
      <form id={formId} onSubmit={save} noValidate>
        <TextField
          label={text.name}
          hint={text.hint}
          error={error}
          value={name}
          maxLength={60}
          onChange={(event) => setName(event.target.value)}
        />
      </form>
    </Dialog>
  );
}
