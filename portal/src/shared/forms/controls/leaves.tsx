// Controls for single values: text, numbers, yes and no, one or some of several options, constants and JSON.

import { useId } from 'react';
import { useFormat, useShared } from '../../i18n/messages.tsx';
import { Button } from '../../ui/button.tsx';
import { Choice, Field, FieldGroup } from '../../ui/field.tsx';
import type { Field as FieldKind, Option, TextFormat } from '../fields.ts';
import { textOf } from '../fields.ts';
import { useFault, useForm, useForms, useText } from '../form-context.tsx';
import { numberOf } from '../form-store.ts';
import { isSame } from '../schema.ts';

interface CommonProps {
  value: unknown;
  pointer: string;
  label: string;
  hint: string | undefined;
  isRequired: boolean;
}

export interface ControlProps<Kind extends FieldKind['kind']> extends CommonProps {
  field: Extract<FieldKind, { kind: Kind }>;
}

/** The parts of a field that all controls have. */
function useCommon({ pointer, label, hint, isRequired }: CommonProps) {
  const { store, idPrefix } = useForm();
  const error = useFault(pointer);
  return { store, common: { id: idPrefix + pointer, label, hint, error, optional: !isRequired } };
}

function joined(...parts: (string | undefined)[]): string | undefined {
  const given = parts.filter((part) => part !== undefined && part !== '');
  return given.length === 0 ? undefined : given.join(' ');
}

const INPUT_TYPES: Readonly<Record<TextFormat, string>> = {
  plain: 'text',
  date: 'date',
  time: 'time',
  'date-time': 'datetime-local',
  email: 'email',
  uri: 'url',
};

export function TextControl(props: ControlProps<'text'>) {
  const { field, value, pointer } = props;
  const { store, common } = useCommon(props);
  const forms = useForms();
  const { format, isLong, maxLength } = field;
  const set = (text: string) => store.set(pointer, toValue(text, format));
  const text = fromValue(value, format);
  const isZoned = format === 'time' || format === 'date-time';
  const formatHint =
    format === 'email' || format === 'uri'
      ? forms.formats[format]
      : isZoned
        ? forms.timeZone(Intl.DateTimeFormat().resolvedOptions().timeZone)
        : undefined;
  const left = maxLength !== null && text.length > maxLength * 0.8 ? maxLength - text.length : -1;
  return (
    <Field {...common} hint={joined(common.hint, formatHint)}>
      {(control) => (
        <>
          {isLong ? (
            <textarea
              {...control}
              className="input input-growing"
              rows={1}
              value={text}
              onChange={(event) => set(event.target.value)}
              onBlur={() => store.touch(pointer)}
            />
          ) : (
            <input
              {...control}
              className={isZoned || format === 'date' ? 'input input-short' : 'input'}
              type={INPUT_TYPES[format]}
              step={isZoned ? 1 : undefined}
              value={text}
              onChange={(event) => set(event.target.value)}
              onBlur={() => store.touch(pointer)}
            />
          )}
          {left >= 0 && <span className="field-hint numeric">{forms.charactersLeft(left)}</span>}
        </>
      )}
    </Field>
  );
}

/** The text of a control → the value; no text is no answer. Times get the offset of this machine (RFC 3339). */
function toValue(text: string, format: TextFormat): string | undefined {
  if (text === '') return undefined;
  if (format === 'time') return `${withSeconds(text)}${offsetAt(new Date())}`;
  if (format === 'date-time') return `${withSeconds(text)}${offsetAt(new Date(text))}`;
  return text;
}

function withSeconds(text: string): string {
  return /\d\d:\d\d$/.test(text) && !/\d\d:\d\d:\d\d$/.test(text) ? `${text}:00` : text;
}

function offsetAt(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  if (Number.isNaN(minutes) || minutes === 0) return 'Z';
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(hours)}:${two(rest)}`;
}

function fromValue(value: unknown, format: TextFormat): string {
  if (value === undefined || value === null) return '';
  const text = textOf(value);
  return format === 'time' || format === 'date-time' ? text.replace(/(Z|[+-]\d\d:\d\d)$/, '') : text;
}

export function NumberControl(props: ControlProps<'number'>) {
  const { field, value, pointer } = props;
  const { store, common } = useCommon(props);
  const forms = useForms();
  const format = useFormat();
  const typed = useText(pointer);
  store.noteNumber(pointer);
  const { min, max, isInteger } = field;
  const range =
    min !== null && max !== null
      ? forms.range(format.number(min), format.number(max))
      : min !== null
        ? forms.atLeast(format.number(min))
        : max !== null
          ? forms.atMost(format.number(max))
          : undefined;
  const change = (text: string) => {
    const number = numberOf(text);
    const known = Number.isFinite(number) ? number : undefined;
    store.setWithText(pointer, known, text === '' || text === String(known) ? undefined : text);
  };
  return (
    <Field {...common} hint={joined(common.hint, isInteger ? forms.wholeNumber : undefined, range)}>
      {(control) => (
        <input
          {...control}
          className="input input-short numeric"
          inputMode={isInteger && (min ?? -1) >= 0 ? 'numeric' : 'decimal'}
          autoComplete="off"
          value={typed ?? (value === undefined || value === null ? '' : String(value))}
          onChange={(event) => change(event.target.value)}
          onBlur={() => store.touch(pointer)}
        />
      )}
    </Field>
  );
}

export function BooleanControl(props: ControlProps<'boolean'>) {
  const { yes, no } = useShared();
  const options = [
    { value: true, label: yes },
    { value: false, label: no },
  ];
  return <RadioOptions {...props} options={options} isRow />;
}

/** More options than this are a list to choose from. */
const MOST_RADIOS = 7;

export function OptionsControl(props: ControlProps<'options'>) {
  const { options } = props.field;
  if (options.length > MOST_RADIOS) return <SelectOptions {...props} options={options} />;
  return (
    <RadioOptions {...props} options={options} isRow={options.every(({ label }) => label.length < 16)} />
  );
}

interface WithOptions extends CommonProps {
  options: readonly Option[];
}

function RadioOptions(props: WithOptions & { isRow: boolean }) {
  const { value, pointer, options, isRow, isRequired } = props;
  const { store, common } = useCommon(props);
  const forms = useForms();
  const name = useId();
  const isAnswered = value !== undefined && value !== null;
  return (
    <FieldGroup {...common}>
      <div className={isRow ? 'choices choices-row' : 'choices'}>
        {options.map((option) => (
          <Choice
            key={textOf(option.value)}
            type="radio"
            name={name}
            checked={isAnswered && isSame(option.value, value)}
            onChange={() => store.set(pointer, option.value)}
            onBlur={() => store.touch(pointer)}
          >
            {option.label}
          </Choice>
        ))}
        {!isRequired && isAnswered && (
          <Button look="quiet" size="small" onClick={() => store.set(pointer, undefined)}>
            {forms.clear}
          </Button>
        )}
      </div>
    </FieldGroup>
  );
}

function SelectOptions(props: WithOptions) {
  const { value, pointer, options, isRequired } = props;
  const { store, common } = useCommon(props);
  const forms = useForms();
  const index = options.findIndex((option) => isSame(option.value, value));
  return (
    <Field {...common}>
      {(control) => (
        <select
          {...control}
          className="input"
          value={index}
          onChange={(event) => store.set(pointer, options[Number(event.target.value)]?.value)}
          onBlur={() => store.touch(pointer)}
        >
          <option value={-1}>{isRequired ? forms.choose : forms.noAnswer}</option>
          {options.map((option, at) => (
            <option key={textOf(option.value)} value={at}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function SetControl(props: ControlProps<'set'>) {
  const { field, value, pointer } = props;
  const { store, common } = useCommon(props);
  const chosen: unknown[] = Array.isArray(value) ? value : [];
  const has = (option: Option) => chosen.some((one) => isSame(one, option.value));
  const toggle = (option: Option) =>
    store.set(
      pointer,
      field.options.filter((one) => (one === option ? !has(one) : has(one))).map((one) => one.value),
    );
  return (
    <FieldGroup {...common}>
      <div className="choices">
        {field.options.map((option) => (
          <Choice
            key={textOf(option.value)}
            type="checkbox"
            checked={has(option)}
            onChange={() => toggle(option)}
            onBlur={() => store.touch(pointer)}
          >
            {option.label}
          </Choice>
        ))}
      </div>
    </FieldGroup>
  );
}

/** A value that is given. One that may be left out can be chosen or not. */
export function ConstantControl(props: ControlProps<'constant'>) {
  const { field, value, pointer, label, hint, isRequired } = props;
  const { store, common } = useCommon(props);
  const forms = useForms();
  const { none } = useShared();
  const text = field.value === null ? none : textOf(field.value);
  if (isRequired)
    return (
      <div className="field" id={common.id} tabIndex={-1}>
        <span className="field-label">{label}</span>
        {hint !== undefined && <span className="field-hint">{hint}</span>}
        <span>
          <span className="muted">{forms.given}</span> {text}
        </span>
        {common.error !== undefined && <span className="field-error">{common.error}</span>}
      </div>
    );
  return (
    <FieldGroup {...common}>
      <Choice
        type="checkbox"
        checked={isSame(value, field.value)}
        onChange={(event) => store.set(pointer, event.target.checked ? field.value : undefined)}
      >
        {text}
      </Choice>
    </FieldGroup>
  );
}

export function JsonControl(props: ControlProps<'json'>) {
  const { value, pointer } = props;
  const { store, common } = useCommon(props);
  const forms = useForms();
  const typed = useText(pointer);
  const written = value === undefined || value === null ? '' : JSON.stringify(value, null, 2);
  const change = (text: string) => {
    const parsed = parse(text);
    store.setWithText(
      pointer,
      parsed,
      text === '' || text === JSON.stringify(parsed, null, 2) ? undefined : text,
    );
  };
  return (
    <Field {...common} hint={joined(common.hint, forms.json)}>
      {(control) => (
        <textarea
          {...control}
          className="input mono"
          spellCheck={false}
          rows={4}
          value={typed ?? written}
          onChange={(event) => change(event.target.value)}
          onBlur={() => store.touch(pointer)}
        />
      )}
    </Field>
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
