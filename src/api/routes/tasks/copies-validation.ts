// Rules of several answers to one task that no schema can express.

import type { FieldError } from '../../http/problem.ts';
import { at } from '../../http/validation.ts';

/** The rules that `output.copies` breaks. @param output not validated yet */
export function copiesErrors(output: unknown): FieldError[] {
  const copies = at(output, 'copies');
  if (copies === undefined) return [];
  const errors: FieldError[] = [];
  const add = (pointer: string, message: string) => errors.push({ pointer: `/output${pointer}`, message });
  const [count, most] = [at(copies, 'count'), at(copies, 'max_count')];
  if (typeof count === 'number' && typeof most === 'number' && most < count)
    add('/copies/max_count', 'must not be less than count');
  const [mode, threshold] = [at(copies, 'agreement', 'mode'), at(copies, 'agreement', 'threshold')];
  if (mode === 'threshold' && threshold === undefined) add('/copies/agreement/threshold', 'is required');
  if (mode !== undefined && mode !== 'threshold' && threshold !== undefined)
    add('/copies/agreement/threshold', 'is allowed only with mode threshold');
  if (at(output, 'expected_format') === 'text' && at(copies, 'agreement', 'fields') !== undefined)
    add('/copies/agreement/fields', 'is allowed only with structured_json');
  if (at(output, 'review', 'auto_approve_after_seconds') !== undefined)
    add(
      '/review/auto_approve_after_seconds',
      'is not allowed with copies: answers that differ need a reviewer',
    );
  return errors;
}
