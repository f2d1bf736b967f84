// What the fields of a form share: its store, and hooks that follow parts of it.

import { createContext, useContext, useSyncExternalStore } from 'react';
import type { forms } from '../i18n/en/forms.ts';
import { areaHook, type Catalogue, useFormat } from '../i18n/messages.tsx';
import type { FormStore } from './form-store.ts';
import { faultText } from './hints.ts';

export const useForms = areaHook<Catalogue & { forms: typeof forms }>()('forms');

export interface FormContext {
  store: FormStore;
  /** Before the pointer of a field, its id in the document. */
  idPrefix: string;
}

export const FormContext = createContext<FormContext | null>(null);

export function useForm(): FormContext {
  const form = useContext(FormContext);
  if (form === null) throw new Error('a field is outside of a form');
  return form;
}

/** The value at a pointer. */
export function useValue(pointer: string): unknown {
  const { store } = useForm();
  return useSyncExternalStore(store.subscribe, () => store.valueAt(pointer));
}

/** The text of a field whose value is not text. */
export function useText(pointer: string): string | undefined {
  const { store } = useForm();
  return useSyncExternalStore(store.subscribe, () => store.textAt(pointer));
}

export function useChoice(pointer: string): number | undefined {
  const { store } = useForm();
  return useSyncExternalStore(store.subscribe, () => store.choiceAt(pointer));
}

/** What is wrong with a field, as a sentence; undefined when nothing is said. */
export function useFault(pointer: string): string | undefined {
  const { store } = useForm();
  const messages = useForms();
  const format = useFormat();
  const fault = useSyncExternalStore(store.subscribe, () => store.faultAt(pointer));
  if (fault === undefined) return undefined;
  return 'message' in fault ? sentence(fault.message) : faultText(fault, messages, format);
}

/** The server's words ("must be a string") as a sentence. */
export function sentence(text: string): string {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
