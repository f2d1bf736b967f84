// Rules of the gold tasks of a task type that no schema can express.

import { MAX_GOLD_TASKS } from '../../../state/tasks/gold.ts';
import type { Principal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import type { FieldError } from '../../http/problem.ts';
import { at } from '../../http/validation.ts';
import { chargedTo } from './task-input.ts';

/** Errors after which the remaining answers are not checked. */
const MAX_ERRORS = 100;

/**
 * The rules that `gold_rate` and `gold_tasks` break.
 * @param body of a task type, not validated yet
 * @param isSound whether the rest of it is, so that answers can be checked under its schema
 */
export async function goldErrors(
  { deps, principal }: { deps: ApiDeps; principal: Principal },
  body: unknown,
  isSound: boolean,
): Promise<FieldError[]> {
  const [rate, tasks] = [at(body, 'gold_rate'), at(body, 'gold_tasks')];
  if (tasks === undefined)
    return rate === undefined ? [] : [{ pointer: '/gold_tasks', message: 'is required by gold_rate' }];
  const errors: FieldError[] = [];
  const require = (pointer: string, by: string) => errors.push({ pointer, message: `is required by ${by}` });
  if (rate === undefined) require('/gold_rate', 'gold_tasks');
  const [format, schema] = [at(body, 'output', 'expected_format'), at(body, 'output', 'schema')];
  if (format === undefined) require('/output/expected_format', 'gold_tasks');
  if (format === 'structured_json' && schema === undefined) require('/output/schema', 'gold_tasks');
  const items: unknown[] = Array.isArray(tasks) ? tasks.slice(0, MAX_GOLD_TASKS) : [];
  for (const [index, item] of items.entries())
    for (const name of ['title', 'instructions'])
      if (at(item, name) === undefined && at(body, name) === undefined)
        errors.push({
          pointer: `/gold_tasks/${index}/${name}`,
          message: 'is required: the task type has none',
        });
  if (!isSound || errors.length > 0 || (format !== 'text' && format !== 'structured_json')) return errors;
  // One after the other: the checks of an org share their time.
  for (const [index, item] of items.entries()) {
    if (errors.length >= MAX_ERRORS) break;
    const problems = await deps.schemas.checkOutput(
      { expected_format: format, schema },
      at(item, 'output'),
      chargedTo(principal),
    );
    for (const one of problems)
      errors.push({ pointer: `/gold_tasks/${index}/output${one.pointer}`, message: one.message });
  }
  return errors;
}
