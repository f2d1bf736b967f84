// What every form with fixed fields has in common: checks before it is sent, errors of the server beside their fields and in
// a summary, one request at a time.

import { ApiError } from '@biolayer/sdk';
import { type FormEvent, useId, useState } from 'react';
import { problemText } from '../api/problem-text.ts';
import { useShared } from '../i18n/messages.tsx';
import type { FormError } from '../ui/error-summary.tsx';

export interface FieldFault<Field extends string> {
  /** Null for the whole form. */
  field: Field | null;
  message: string;
}

export interface Form<Field extends string> {
  onSubmit: (event: FormEvent) => void;
  isBusy: boolean;
  /** For the fields: their id and error. */
  field: (name: Field) => { id: string; error: string | undefined };
  /** For the summary. */
  summary: { errors: FormError[]; attempt: number };
}

/**
 * @param labels of the fields, by the first part of the server's pointer: `/pool_ids/0` is an error of `pool_ids`.
 * @param check faults that the page finds itself; nothing is sent while there are any.
 * @param save sends the form. Its errors are shown.
 */
export function useForm<Field extends string>({
  labels,
  check,
  save,
}: {
  labels: Readonly<Record<Field, string>>;
  check: () => FieldFault<Field>[];
  save: () => Promise<void>;
}): Form<Field> {
  const base = useId();
  const shared = useShared();
  const [faults, setFaults] = useState<FieldFault<Field>[]>([]);
  const [attempt, setAttempt] = useState(0);
  const [isBusy, setBusy] = useState(false);
  const idOf = (name: Field) => `${base}-${name}`;

  async function submit(): Promise<void> {
    setAttempt((count) => count + 1);
    const found = check();
    setFaults(found);
    if (found.length > 0) return;
    setBusy(true);
    try {
      await save();
    } catch (error) {
      setFaults(faultsOf(error, labels) ?? [{ field: null, message: problemText(error, shared) }]);
    } finally {
      setBusy(false);
    }
  }

  return {
    onSubmit: (event) => {
      event.preventDefault();
      // A dialog within another form is its own form.
      event.stopPropagation();
      if (!isBusy) void submit();
    },
    isBusy,
    field: (name) => ({ id: idOf(name), error: faults.find((one) => one.field === name)?.message }),
    summary: {
      attempt,
      errors: faults.map(({ field, message }) => ({
        fieldId: field === null ? undefined : idOf(field),
        message: field === null ? message : `${labels[field]}: ${message}`,
      })),
    },
  };
}

/** The faults of a 422 by field; null for another error. */
function faultsOf<Field extends string>(
  error: unknown,
  labels: Readonly<Record<Field, string>>,
): FieldFault<Field>[] | null {
  if (!(error instanceof ApiError) || error.errors.length === 0) return null;
  return error.errors.map(({ pointer, message }) => {
    const [, first = '', ...rest] = pointer.split('/');
    const isField = (name: string): name is Field => Object.hasOwn(labels, name);
    if (!isField(first)) return { field: null, message: pointer === '' ? message : `${pointer} ${message}` };
    // Of a list: which item.
    const at = /^\d+$/.test(rest[0] ?? '') ? `${Number(rest[0]) + 1}. ` : '';
    return { field: first, message: `${at}${message}` };
  });
}

/** The items of a text with commas or line breaks between them. */
export function itemsOf(text: string): string[] {
  const items = text.split(/[,\n]/).map((one) => one.trim());
  return [...new Set(items.filter((one) => one !== ''))];
}
