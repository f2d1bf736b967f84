// Fields of forms: each control has its label, hint and error, which are tied together for screen readers. The id of a field
// is the target of its line in the error summary.

import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from 'react';
import { useShared } from '../i18n/messages.tsx';

export interface FieldProps {
  /** Id of the control; default: a new one. */
  id?: string | undefined;
  label: ReactNode;
  hint?: ReactNode;
  error?: string | undefined;
  optional?: boolean | undefined;
}

/** What ties a control to its label, hint and error. */
export interface ControlProps {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': boolean | undefined;
}

/** A control with its label, hint and error. */
export function Field({
  id,
  label,
  hint,
  error,
  optional = false,
  children,
}: FieldProps & { children: (control: ControlProps) => ReactNode }) {
  const made = useId();
  const own = id ?? made;
  return (
    <div className={error === undefined ? 'field' : 'field field-invalid'}>
      <label className="field-label" htmlFor={own}>
        {label}
        {optional && <OptionalMark />}
      </label>
      <Notes id={own} hint={hint} error={error} />
      {children({ id: own, ...describedBy(own, hint, error) })}
    </div>
  );
}

/** Several controls with one name, such as radio buttons. */
export function FieldGroup({
  id,
  label,
  hint,
  error,
  optional = false,
  children,
}: FieldProps & { children: ReactNode }) {
  const made = useId();
  const own = id ?? made;
  return (
    <fieldset
      id={own}
      tabIndex={-1}
      className={error === undefined ? 'field' : 'field field-invalid'}
      {...describedBy(own, hint, error)}
    >
      <legend className="field-label">
        {label}
        {optional && <OptionalMark />}
      </legend>
      <Notes id={own} hint={hint} error={error} />
      {children}
    </fieldset>
  );
}

function OptionalMark() {
  return <span className="field-optional"> ({useShared().optional})</span>;
}

function Notes({ id, hint, error }: { id: string; hint: ReactNode; error: string | undefined }) {
  return (
    <>
      {hint !== undefined && hint !== '' && (
        <span id={`${id}-hint`} className="field-hint">
          {hint}
        </span>
      )}
      {error !== undefined && (
        <span id={`${id}-error`} className="field-error">
          {error}
        </span>
      )}
    </>
  );
}

function describedBy(id: string, hint: ReactNode, error: string | undefined): Omit<ControlProps, 'id'> {
  const ids = [
    hint !== undefined && hint !== '' && `${id}-hint`,
    error !== undefined && `${id}-error`,
  ].filter((one) => one !== false);
  return {
    'aria-describedby': ids.length === 0 ? undefined : ids.join(' '),
    'aria-invalid': error === undefined ? undefined : true,
  };
}

type Native<Attributes> = Omit<Attributes, 'id'> & FieldProps;

export function TextField({
  id,
  label,
  hint,
  error,
  optional,
  ...input
}: Native<InputHTMLAttributes<HTMLInputElement>>) {
  return (
    <Field id={id} label={label} hint={hint} error={error} optional={optional}>
      {(control) => <input type="text" {...input} {...control} className="input" />}
    </Field>
  );
}

/** A field for a moment, in the time zone of the browser. Its value is `YYYY-MM-DDThh:mm`, or empty. */
export function TimeField({
  onChange,
  ...field
}: FieldProps & { value: string; onChange: (value: string) => void }) {
  return <TextField {...field} type="datetime-local" onChange={({ target }) => onChange(target.value)} />;
}

export function TextAreaField({
  id,
  label,
  hint,
  error,
  optional,
  ...input
}: Native<TextareaHTMLAttributes<HTMLTextAreaElement>>) {
  return (
    <Field id={id} label={label} hint={hint} error={error} optional={optional}>
      {(control) => <textarea {...input} {...control} className="input" />}
    </Field>
  );
}

export function SelectField({
  id,
  label,
  hint,
  error,
  optional,
  children,
  ...select
}: Native<SelectHTMLAttributes<HTMLSelectElement>>) {
  return (
    <Field id={id} label={label} hint={hint} error={error} optional={optional}>
      {(control) => (
        <select {...select} {...control} className="input">
          {children}
        </select>
      )}
    </Field>
  );
}

/** One radio button or checkbox with its text. */
export function Choice({
  children,
  ...input
}: InputHTMLAttributes<HTMLInputElement> & { type: 'radio' | 'checkbox'; children: ReactNode }) {
  return (
    <label className="choice">
      <input {...input} />
      <span>{children}</span>
    </label>
  );
}

export interface SegmentedOption<Value extends string> {
  value: Value;
  label: ReactNode;
}

/** Radio buttons that look like one switch, for two to four short options. */
export function Segmented<Value extends string>({
  label,
  value,
  options,
  onChange,
  disabled,
}: {
  /** Name of the group, for screen readers. */
  label: string;
  value: Value | undefined;
  options: readonly SegmentedOption<Value>[];
  onChange: (value: Value) => void;
  disabled?: boolean;
}) {
  const name = useId();
  return (
    <div className="segmented" role="radiogroup" aria-label={label}>
      {options.map((option) => (
        <label key={option.value} className="segmented-option">
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            disabled={disabled}
            onChange={() => onChange(option.value)}
          />
          {option.label}
        </label>
      ))}
    </div>
  );
}
