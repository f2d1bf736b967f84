// Fills the body of a new task with the defaults of its task type. An org without task types costs no look-up: whether it
// has any is in its cached rules (`access/org-rules.ts`).

import { isDefault, type TaskTypeVersion, withDefaults } from '../../../state/tasks/task-type.ts';
import { isObject } from '../../../state/text/forms.ts';
import { loadTaskType, loadVersions } from '../../../store/tasks/task-types.ts';
import type { KeyPrincipal, Principal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { type FieldError, invalid } from '../../http/problem.ts';
import { allFaults, bodyCheck, memberOf } from '../../http/validation.ts';
import type { Completion } from '../../route.ts';
import { TaskCreate } from './task-input.schema.ts';
import { taskRules } from './task-input.ts';

const checkTask = bodyCheck(TaskCreate);
/** Message of a missing field. */
const REQUIRED = 'is required';
const NAME = /^[a-z][a-z0-9_]{0,63}$/;

/** The defaults of the types of one request, so that a batch loads each of them once. */
export type KnownTypes = Map<string, Promise<TaskTypeVersion | FieldError | null>>;

/** Whether the body may have defaults to be filled in. */
export function mayHaveDefaults(
  { hasTaskTypes }: ApiDeps,
  { org_id }: KeyPrincipal,
  body: unknown,
): boolean | Promise<boolean> {
  return memberOf(body, 'task_type_version') !== undefined || hasTaskTypes(org_id);
}

/** The version of a type by the body that it has filled. */
const filledBy = new WeakMap<object, TaskTypeVersion>();

/** The version of a registered type that filled the body; undefined for none. */
export function typeOf(body: TaskCreate): TaskTypeVersion | undefined {
  return filledBy.get(body);
}

/**
 * The valid body with the defaults of its task type filled in.
 * @throws ApiError 422, with pointers into the body as it was sent; an error in a default names the type
 */
export async function filledTask(
  deps: ApiDeps,
  principal: KeyPrincipal,
  sent: unknown,
  known: KnownTypes = new Map(),
): Promise<TaskCreate> {
  const { body, errors, type, isTypeUnknown = false } = await withTypeDefaults(deps, principal, sent, known);
  const original = structuredClone(sent);
  const filled = structuredClone(body);
  const rules = (given: unknown) => taskRules(given, { deps, principal });
  const others = (await allFaults(body, checkTask(body), rules)).filter(
    ({ message }) => !isTypeUnknown || message !== REQUIRED,
  );
  const faults = [...errors, ...others].map((one) =>
    type !== null && isDefault(original, filled, one.pointer)
      ? {
          ...one,
          message: `${one.message} (from version ${type.version.number} of the task type ${type.name})`,
        }
      : one,
  );
  if (faults.length > 0) throw invalid(...faults);
  // `checkTask` has validated it against the schema that this type comes from.
  const valid = body as TaskCreate;
  if (type !== null) filledBy.set(valid, type.version);
  return valid;
}

/** Completes the bodies of routes that take one task. */
export const taskCompletion: Completion = {
  isNeeded: ({ deps, principal }, body) => isKey(principal) && mayHaveDefaults(deps, principal, body),
  complete: async ({ deps, principal }, body) =>
    isKey(principal) ? filledTask(deps, principal, body) : body,
};

function isKey(principal: Principal): principal is KeyPrincipal {
  return principal.kind === 'api_key';
}

interface Filled {
  body: unknown;
  errors: FieldError[];
  type: { name: string; version: TaskTypeVersion } | null;
  /** The version is wrong, so nobody knows what it would have filled in. */
  isTypeUnknown?: true;
}

async function withTypeDefaults(
  deps: ApiDeps,
  { org_id }: KeyPrincipal,
  sent: unknown,
  known: KnownTypes,
): Promise<Filled> {
  const name = memberOf(sent, 'task_type');
  const wanted = memberOf(sent, 'task_type_version');
  const none: Filled = { body: sent, errors: [], type: null };
  if (!isObject(sent) || typeof name !== 'string' || !NAME.test(name)) return none;
  if (wanted !== undefined && !(Number.isInteger(wanted) && Number(wanted) > 0)) return none;
  const number = wanted === undefined ? null : Number(wanted);
  const id = `${name} ${number}`;
  const loading = known.get(id) ?? loadDefaults(deps, org_id, name, number);
  known.set(id, loading);
  const found = await loading;
  if (found === null) return none;
  if ('pointer' in found) return { ...none, errors: [found], isTypeUnknown: true };
  const body = { ...withDefaults(sent, found.defaults), task_type_version: found.number };
  return { body, errors: [], type: { name, version: found } };
}

/** The wanted or newest version of a type; null when the type is not registered and no version is wanted. */
async function loadDefaults(
  { db }: ApiDeps,
  orgId: string,
  name: string,
  wanted: number | null,
): Promise<TaskTypeVersion | FieldError | null> {
  const type = await loadTaskType(db, orgId, name);
  const pointer = '/task_type_version';
  if (type === null || type.retired)
    return wanted === null ? null : { pointer, message: `the task type ${name} is not registered` };
  if (wanted === null || wanted === type.number) return type;
  const [version = null] = await loadVersions(db, orgId, name, [wanted]);
  return version ?? { pointer, message: `is not a version of the task type ${name}` };
}
