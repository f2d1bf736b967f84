// A form that is made from the schema of an output.

import { useMemo, useSyncExternalStore } from 'react';
import { useFormat } from '../i18n/messages.tsx';
import type { FormError } from '../ui/error-summary.tsx';
import { Part } from './controls/part.tsx';
import { labelFromName } from './fields.ts';
import { FormContext, sentence, useForms } from './form-context.tsx';
import type { FormStore } from './form-store.ts';
import { faultText } from './hints.ts';
import { located } from './values.ts';
import './forms.css';

/** @param idPrefix of the ids of the fields; a field's id is this and its pointer. */
export function SchemaForm({ store, idPrefix }: { store: FormStore; idPrefix: string }) {
  const forms = useForms();
  const context = useMemo(() => ({ store, idPrefix }), [store, idPrefix]);
  return (
    <FormContext value={context}>
      <div className="form">
        <Part schema={store.root} pointer="" label={forms.answer} isRequired depth={0} isPlain />
      </div>
    </FormContext>
  );
}

/** What is wrong with the form, for the summary: each with the name of its field. */
export function useFormErrors(store: FormStore, idPrefix: string): FormError[] {
  const forms = useForms();
  const format = useFormat();
  // Text, because a list would be another one each time.
  const faults = useSyncExternalStore(store.subscribe, () => JSON.stringify(store.faults));
  return useMemo(
    () =>
      (JSON.parse(faults) as typeof store.faults).map(({ pointer, fault }) => {
        const text = 'message' in fault ? sentence(fault.message) : faultText(fault, forms, format);
        const name = nameOf(store, pointer);
        return { fieldId: idPrefix + pointer, message: name === '' ? text : `${name}: ${text}` };
      }),
    [faults, store, idPrefix, forms, format],
  );
}

/** The label of the field at a pointer. */
function nameOf(store: FormStore, pointer: string): string {
  const step = pointer.split('/').slice(1).at(-1);
  if (step === undefined) return '';
  const { schema } = located(store.root, store.valueAt(''), pointer, (at) => store.choiceAt(at));
  if (typeof schema?.title === 'string' && schema.title !== '') return schema.title;
  const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
  return /^\d+$/.test(name) ? String(Number(name) + 1) : labelFromName(name);
}
