// Rules of several answers to one task that no schema can express.

import { fieldsOf } from '../../../output-schema/output-schemas.ts';
import { isObject } from '../../../state/text/forms.ts';
import { firstToken } from '../../../state/text/pointer.ts';
import type { FieldError } from '../../http/problem.ts';
import { at } from '../../http/validation.ts';

/** The rules that `output.copies` breaks. @param body not validated yet */
export function copiesErrors(body: unknown): FieldError[] {
  const output = at(body, 'output');
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
  for (const [index, pointer] of unknownFields(output, copies))
    add(`/copies/agreement/fields/${index}`, `is not in the schema, so all answers would agree: ${pointer}`);
  const only = at(body, 'requirements', 'worker_ids');
  if (typeof count === 'number' && Array.isArray(only) && only.length > 0 && only.length < count)
    errors.push({
      pointer: '/requirements/worker_ids',
      message: `must name at least ${count} workers, one for each copy`,
    });
  if (at(output, 'review', 'auto_approve_after_seconds') !== undefined)
    add(
      '/review/auto_approve_after_seconds',
      'is not allowed with copies: answers that differ need a reviewer',
    );
  return errors;
}

/** The compared fields that no output can have, with their indexes; none when the schema does not tell. */
function unknownFields(output: unknown, copies: unknown): [number, string][] {
  const [schema, fields] = [at(output, 'schema'), at(copies, 'agreement', 'fields')];
  const known = isObject(schema) ? fieldsOf(schema) : null;
  if (known === null || !Array.isArray(fields)) return [];
  return fields.flatMap((pointer: unknown, index): [number, string][] => {
    const name = typeof pointer === 'string' ? firstToken(pointer) : null;
    return name === null || known.includes(name) ? [] : [[index, String(pointer)]];
  });
}
