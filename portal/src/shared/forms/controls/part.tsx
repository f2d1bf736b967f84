// One part of a form: the control for its field. Objects, lists and choices hold further parts.

import { memo, useId, useState } from 'react';
import { useFormat } from '../../i18n/messages.tsx';
import { Button } from '../../ui/button.tsx';
import { Choice, FieldGroup, TextField } from '../../ui/field.tsx';
import { applicable } from '../applicable.ts';
import {
  type ChoiceOption,
  type EntrySchemas,
  entrySchema,
  type Field,
  fieldOf,
  labelFromName,
} from '../fields.ts';
import { useChoice, useFault, useForm, useForms, useValue } from '../form-context.tsx';
import { type AnySchema, isObject } from '../schema.ts';
import { childPointer, chosenOption, emptyValue } from '../values.ts';
import {
  BooleanControl,
  ConstantControl,
  type ControlProps,
  JsonControl,
  NumberControl,
  OptionsControl,
  SetControl,
  TextControl,
} from './leaves.tsx';

interface PartProps {
  schema: AnySchema;
  pointer: string;
  /** Shown when the schema has no title. */
  label: string;
  isRequired: boolean;
  depth: number;
  /** Whether the part is all there is around it, so that it needs no frame of its own. */
  isPlain?: boolean;
}

export const Part = memo(function Part({ schema, pointer, label, isRequired, depth, isPlain }: PartProps) {
  const { store } = useForm();
  const value = useValue(pointer);
  const whole = applicable(schema, store.root, value);
  const field = fieldOf(schema, store.root, value, depth);
  const title = typeof whole.title === 'string' && whole.title !== '' ? whole.title : label;
  const hint = typeof whole.description === 'string' ? whole.description : undefined;
  const common = { value, pointer, label: title, hint, isRequired };
  switch (field.kind) {
    case 'object':
      return (
        <ObjectPart {...common} field={field} schema={schema} depth={depth} isPlain={isPlain === true} />
      );
    case 'array':
      return <ListPart {...common} field={field} schema={schema} depth={depth} />;
    case 'choice':
      return <ChoicePart {...common} field={field} depth={depth} />;
    case 'set':
      return <SetControl {...common} field={field} />;
    case 'options':
      return <OptionsControl {...common} field={field} />;
    case 'boolean':
      return <BooleanControl {...common} field={field} />;
    case 'text':
      return <TextControl {...common} field={field} />;
    case 'number':
      return <NumberControl {...common} field={field} />;
    case 'constant':
      return <ConstantControl {...common} field={field} />;
    case 'json':
      return <JsonControl {...common} field={field} />;
  }
});

interface ContainerProps<Kind extends Field['kind']> extends ControlProps<Kind> {
  depth: number;
}

/** Adds a value that may be left out. */
function AddPart({
  label,
  pointer,
  schema,
  hint,
}: Pick<ControlProps<'object'>, 'label' | 'pointer' | 'hint'> & { schema: AnySchema }) {
  const { store, idPrefix } = useForm();
  const forms = useForms();
  const error = useFault(pointer);
  return (
    <div className={error === undefined ? 'field' : 'field field-invalid'}>
      {hint !== undefined && <span className="field-hint">{hint}</span>}
      {error !== undefined && <span className="field-error">{error}</span>}
      <div>
        <Button
          id={idPrefix + pointer}
          icon="plus"
          size="small"
          onClick={() => store.set(pointer, emptyValue(schema, store.root))}
        >
          {forms.addNamed(label)}
        </Button>
      </div>
    </div>
  );
}

function ObjectPart(props: ContainerProps<'object'> & { schema: AnySchema; isPlain: boolean }) {
  const { field, value, pointer, label, hint, isRequired, depth, schema, isPlain } = props;
  const { store, idPrefix } = useForm();
  const forms = useForms();
  const error = useFault(pointer);
  if (value === undefined && !isRequired)
    return <AddPart label={label} pointer={pointer} schema={schema} hint={hint} />;
  const content = (
    <>
      {field.properties.map((one) => (
        <Part
          key={one.name}
          schema={one.schema}
          pointer={childPointer(pointer, one.name)}
          label={labelFromName(one.name)}
          isRequired={one.isRequired || isDemanded(schema, store.root, value, one.name)}
          depth={depth + 1}
        />
      ))}
      {field.entries !== null && (
        <Entries
          entries={field.entries}
          named={field.properties.map((one) => one.name)}
          value={value}
          pointer={pointer}
          depth={depth}
        />
      )}
    </>
  );
  if (isPlain) return <div className="stack stack-loose">{content}</div>;
  return (
    <FieldGroup id={idPrefix + pointer} label={label} hint={hint} error={error} optional={!isRequired}>
      <div className="form-nested stack">
        {content}
        {!isRequired && (
          <div>
            <Button look="quiet" size="small" icon="trash" onClick={() => store.remove(pointer)}>
              {forms.removeNamed(label)}
            </Button>
          </div>
        )}
      </div>
    </FieldGroup>
  );
}

/** Whether another member that is there demands this one (dependentRequired). */
function isDemanded(
  schema: AnySchema,
  root: Parameters<typeof applicable>[1],
  value: unknown,
  name: string,
): boolean {
  const { dependentRequired } = applicable(schema, root, value);
  if (!isObject(dependentRequired) || !isObject(value)) return false;
  return Object.entries(dependentRequired).some(
    ([other, names]) => Object.hasOwn(value, other) && Array.isArray(names) && names.includes(name),
  );
}

/** Members whose names a person chooses. */
function Entries({
  entries,
  named,
  value,
  pointer,
  depth,
}: {
  entries: EntrySchemas;
  named: readonly string[];
  value: unknown;
  pointer: string;
  depth: number;
}) {
  const { store } = useForm();
  const forms = useForms();
  const [name, setName] = useState('');
  const [error, setError] = useState<string>();
  const own = isObject(value) ? value : {};
  const names = Object.keys(own).filter((one) => !named.includes(one));
  const add = () => {
    const schema = entrySchema(entries, name);
    if (name === '' || schema === null) return setError(forms.entryNameRefused);
    if (Object.hasOwn(own, name) || named.includes(name)) return setError(forms.entryNameTaken);
    setError(undefined);
    setName('');
    store.set(childPointer(pointer, name), emptyValue(schema, store.root));
  };
  return (
    <div className="stack">
      {names.map((one) => {
        const schema = entrySchema(entries, one);
        return (
          <div key={one} className="form-item">
            <div className="grow">
              {schema !== null && (
                <Part
                  schema={schema}
                  pointer={childPointer(pointer, one)}
                  label={one}
                  isRequired
                  depth={depth + 1}
                />
              )}
            </div>
            <Button
              look="quiet"
              size="small"
              icon="trash"
              label={forms.removeNamed(one)}
              onClick={() => store.remove(childPointer(pointer, one))}
            />
          </div>
        );
      })}
      <div className="form-entry">
        <div className="grow">
          <TextField
            label={forms.entryName}
            error={error}
            value={name}
            onChange={(event) => setName(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter') return;
              event.preventDefault();
              add();
            }}
          />
        </div>
        <Button icon="plus" onClick={add}>
          {forms.add}
        </Button>
      </div>
    </div>
  );
}

function ListPart(props: ContainerProps<'array'> & { schema: AnySchema }) {
  const { field, value, pointer, label, hint, isRequired, depth, schema } = props;
  const { store, idPrefix } = useForm();
  const forms = useForms();
  const format = useFormat();
  const error = useFault(pointer);
  if (value === undefined && (field.prefix.length > 0 || !isRequired))
    return <AddPart label={label} pointer={pointer} schema={schema} hint={hint} />;
  const items: unknown[] = Array.isArray(value) ? value : [];
  const { prefix, items: further } = field;
  return (
    <FieldGroup id={idPrefix + pointer} label={label} hint={hint} error={error} optional={!isRequired}>
      <div className="form-nested stack">
        {items.map((_, index) => {
          const of = prefix[index] ?? further;
          if (of === null || of === undefined) return null;
          const name = forms.item(format.number(index + 1));
          const isFixed = index < prefix.length;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: all state of an item is in the store, by its position.
            <div key={index} className="form-item">
              <div className="grow">
                <Part
                  schema={of}
                  pointer={childPointer(pointer, index)}
                  label={name}
                  isRequired
                  depth={depth + 1}
                />
              </div>
              {!isFixed && (
                <div className="form-item-actions">
                  <Button
                    look="quiet"
                    size="small"
                    icon="up"
                    label={forms.moveUp(name)}
                    disabled={index <= prefix.length}
                    onClick={() => store.moveItem(pointer, index, index - 1)}
                  />
                  <Button
                    look="quiet"
                    size="small"
                    icon="down"
                    label={forms.moveDown(name)}
                    disabled={index >= items.length - 1}
                    onClick={() => store.moveItem(pointer, index, index + 1)}
                  />
                  <Button
                    look="quiet"
                    size="small"
                    icon="trash"
                    label={forms.removeNamed(name)}
                    onClick={() => store.removeItem(pointer, index)}
                  />
                </div>
              )}
            </div>
          );
        })}
        {items.length === 0 && <p className="muted small">{forms.noItems}</p>}
        <div className="row">
          {further !== null && items.length < field.max && (
            <Button
              icon="plus"
              size="small"
              onClick={() => store.set(pointer, [...items, emptyValue(further, store.root)])}
            >
              {forms.add}
              <span className="visually-hidden">: {label}</span>
            </Button>
          )}
          {!isRequired && (
            <Button look="quiet" size="small" icon="trash" onClick={() => store.remove(pointer)}>
              {forms.removeNamed(label)}
            </Button>
          )}
        </div>
      </div>
    </FieldGroup>
  );
}

function ChoicePart(props: ContainerProps<'choice'>) {
  const { field, value, pointer, label, hint, isRequired, depth } = props;
  const { store, idPrefix } = useForm();
  const forms = useForms();
  const format = useFormat();
  const error = useFault(pointer);
  const name = useId();
  const picked = useChoice(pointer) ?? chosenOption(field, store.root, value);
  const chosen = field.options[picked];
  const choose = (index: number, option: ChoiceOption) => {
    const start = emptyValue(option.schema, store.root);
    store.choose(pointer, index, start === null && option.kind !== 'nothing' ? undefined : start);
  };
  return (
    <FieldGroup
      id={idPrefix + pointer}
      label={label}
      hint={hint}
      error={chosen === undefined ? error : undefined}
      optional={!isRequired}
    >
      <div className="choices choices-row">
        {field.options.map((option, index) => (
          <Choice
            // biome-ignore lint/suspicious/noArrayIndexKey: the options of a schema keep their order.
            key={index}
            type="radio"
            name={name}
            checked={picked === index}
            onChange={() => choose(index, option)}
          >
            {optionName(field.options, index, forms, format.number)}
          </Choice>
        ))}
        {!isRequired && value !== undefined && (
          <Button look="quiet" size="small" onClick={() => store.remove(pointer)}>
            {forms.clear}
          </Button>
        )}
      </div>
      {chosen !== undefined && chosen.kind !== 'nothing' && (
        <div className="form-nested">
          <Part
            key={picked}
            schema={chosen.schema}
            pointer={pointer}
            label={optionName(field.options, picked, forms, format.number)}
            isRequired
            depth={depth + 1}
          />
        </div>
      )}
    </FieldGroup>
  );
}

/** The title of an alternative; without one the kind of its value, with a number where that is not unique. */
function optionName(
  options: readonly ChoiceOption[],
  index: number,
  forms: ReturnType<typeof useForms>,
  number: (value: number) => string,
): string {
  const option = options[index];
  if (option === undefined) return '';
  if (option.title !== null) return option.title;
  const isUnique = options.filter((one) => one.title === null && one.kind === option.kind).length === 1;
  return isUnique ? forms.valueKinds[option.kind] : forms.option(number(index + 1));
}
