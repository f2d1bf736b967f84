// The schema and the public JSON of a task type.

import Type from 'typebox';
import type { TaskType, TaskTypeVersion } from '../../../state/tasks/task-type.ts';
import { timestamp } from '../../../state/text/time.ts';
import { versionedResponse } from '../../http/etag.ts';
import type { HttpResponse } from '../../http/response.ts';
import { actor, described, Slug, time } from '../../http/schemas.ts';
import { TaskDefaults } from './task-input.schema.ts';

export const Params = Type.Object({ name: described(Slug, 'Name of the task type') });
export const TypeView = Type.Object(
  {
    name: described(Slug, 'Name of the task type'),
    version: Type.Integer({ minimum: 1, description: 'Its number; tasks show it as `task_type_version`' }),
    ...TaskDefaults.properties,
    created_at: time('When this version was made'),
    created_by: actor('Who made this version'),
  },
  { $id: 'TaskType', description: 'A version of a registered task type' },
);

/** What a version holds, as it was sent. */
export function contentOf({ defaults, gold }: TaskTypeVersion): object {
  return { ...defaults, ...(gold !== undefined && { gold_rate: gold.rate, gold_tasks: gold.tasks }) };
}

/** A version of a task type as JSON. */
export function typeView(name: string, version: TaskTypeVersion): object {
  const { number, created_at, created_by } = version;
  return {
    name,
    version: number,
    ...contentOf(version),
    created_at: timestamp(created_at),
    created_by,
  };
}

/** The response with the newest version of a task type. */
export function typeResponse(type: TaskType, status = 200): HttpResponse {
  const record = { version: type.number };
  return versionedResponse(record, typeView(type.name, type), `/v1/task-types/${type.name}`, status);
}
