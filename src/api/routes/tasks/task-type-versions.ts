// The versions of task types: to read only, also those of a retired task type.

import Type from 'typebox';
import { loadTaskType, loadVersions } from '../../../store/tasks/task-types.ts';
import { etag } from '../../http/etag.ts';
import { DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import { notFound } from '../../http/problem.ts';
import { closed, PageQuery, pageOf } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { Params, TypeView, typeView } from './task-type-view.ts';

export const taskTypeVersionRoutes = [
  route({
    method: 'GET',
    path: '/v1/task-types/{name}/versions',
    access: scope('types:read'),
    tag: 'Task types',
    operationId: 'listTaskTypeVersions',
    summary: 'List the versions of a task type',
    description: 'Lists all versions, the newest first; also those of a retired task type.',
    params: Params,
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of versions', schema: pageOf(TypeView) } },
    async handler({ deps: { db }, principal, params: { name }, query }) {
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc' } = query;
      const type = await loadTaskType(db, principal.org_id, name);
      if (type === null) throw notFound();
      const bound = listScope('task_type_versions', principal.org_id, name, order);
      const after = readCursor(bound, cursor, /^\d{1,4}$/);
      const step = order === 'asc' ? 1 : -1;
      const first = after === null ? (order === 'asc' ? 1 : type.number) : Number(after) + step;
      const numbers = Array.from({ length: limit }, (_, index) => first + step * index).filter(
        (number) => number >= 1 && number <= type.number,
      );
      const versions = await loadVersions(db, principal.org_id, name, numbers);
      const shown = versions.filter((one) => one !== null).map((one) => typeView(name, one));
      const last = numbers.at(-1);
      const hasMore = last !== undefined && last + step >= 1 && last + step <= type.number;
      return listResponse(shown, bound, hasMore ? String(last) : null);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/task-types/{name}/versions/{version}',
    access: scope('types:read'),
    tag: 'Task types',
    operationId: 'getTaskTypeVersion',
    summary: 'Retrieve a version of a task type',
    description: 'Shows one version; also of a retired task type.',
    params: Type.Object({
      ...Params.properties,
      version: Type.Integer({ minimum: 1, description: 'Number of the version' }),
    }),
    responses: { 200: { description: 'The version', schema: TypeView, headers: ['ETag'] } },
    async handler({ deps, principal, params: { name, version } }) {
      const [found = null] = await loadVersions(deps.db, principal.org_id, name, [Number(version)]);
      if (found === null) throw notFound();
      const headers = { ETag: etag({ version: found.number }) };
      return { status: 200, body: typeView(name, found), headers };
    },
  }),
];
