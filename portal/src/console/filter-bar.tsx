// The filters of a list: kept in the address, so that a list can be shared and is there again after a reload.

import { type ReactNode, useEffect, useState } from 'react';
import { useSearchParams } from 'wouter';
import { SelectField, TextField } from '../shared/ui/field.tsx';
import './filter-bar.css';

export function FilterBar({ label, children }: { label: string; children: ReactNode }) {
  return (
    <search aria-label={label} className="filter-bar">
      {children}
    </search>
  );
}

/** The parameters of the address, and a function that sets one; an empty value removes it. */
export function useUrlFilters(): [URLSearchParams, (name: string, value: string) => void, () => void] {
  const [params, setParams] = useSearchParams();
  const set = (name: string, value: string) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before);
        if (value === '') after.delete(name);
        else after.set(name, value);
        return after;
      },
      { replace: true },
    );
  return [params, set, () => setParams(new URLSearchParams(), { replace: true })];
}

export function SelectFilter({
  label,
  value,
  options,
  any,
  onChange,
}: {
  label: string;
  value: string;
  options: readonly (readonly [value: string, label: string])[];
  /** Label of the choice that filters nothing. */
  any: string;
  onChange: (value: string) => void;
}) {
  return (
    <SelectField label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">{any}</option>
      {options.map(([one, name]) => (
        <option key={one} value={one}>
          {name}
        </option>
      ))}
    </SelectField>
  );
}

/** How long a person has stopped typing before the list follows, ms. */
const PAUSE = 300;

/** A text filter; the list follows when the person stops typing. */
export function TextFilter({
  label,
  value,
  type = 'search',
  onChange,
}: {
  label: string;
  value: string;
  type?: 'search' | 'datetime-local';
  onChange: (value: string) => void;
}) {
  const [typed, setTyped] = useState(value);
  const [known, setKnown] = useState(value);
  // The address has changed otherwise, such as by "remove all filters".
  if (value !== known) {
    setKnown(value);
    setTyped(value);
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is typed starts the pause, nothing else.
  useEffect(() => {
    if (typed === value) return;
    const timer = setTimeout(() => onChange(typed), PAUSE);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <TextField label={label} type={type} value={typed} onChange={(event) => setTyped(event.target.value)} />
  );
}
