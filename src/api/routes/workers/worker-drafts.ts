// The draft of the calling worker for one of their tasks: what a form has saved so far. Only its worker ever sees it.

import Type from 'typebox';
import { takesDraft } from '../../../state/tasks/draft.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { timestamp } from '../../../state/text/time.ts';
import { type Draft, loadDraft, saveDraft } from '../../../store/tasks/drafts.ts';
import { isOwnTask, ownTask } from '../../access/own-task.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import { etag, requireVersion } from '../../http/etag.ts';
import { ApiError, notFound } from '../../http/problem.ts';
import { closed, idOf, nullable, time } from '../../http/schemas.ts';
import { type Call, route } from '../../route.ts';

const access = { kind: 'worker' } as const;
const tag = 'Worker';
const path = '/v1/worker/tasks/{task_id}/draft';
const Params = Type.Object({ task_id: idOf('task') });

const Content = {
  output: Type.Optional(Type.Unknown({ description: 'Any JSON; it need not fit the output schema yet' })),
  notes: Type.Optional(Type.String({ maxLength: 20_000, description: 'Notes of the worker' })),
};
const Saved = {
  version: Type.Integer({
    minimum: 0,
    description: 'Number of the save, also the ETag; 0 when nothing was saved',
  }),
  saved_at: nullable(time('When it was saved; null when nothing was saved')),
};
const DraftView = Type.Object(
  { ...Content, ...Saved },
  { $id: 'Draft', description: 'What a worker has saved before they submit' },
);

export const workerDraftRoutes = [
  route({
    method: 'GET',
    path,
    access,
    tag,
    operationId: 'getDraft',
    summary: 'Retrieve my draft of a task',
    description: 'Empty, with version 0, when I have saved none. Nobody else can read it.',
    params: Params,
    responses: { 200: { description: 'The draft', schema: DraftView, headers: ['ETag'] } },
    async handler({ deps, principal, params }) {
      const { org_id } = principal;
      const [, { own }] = await Promise.all([
        ownTask(deps.db, principal, params.task_id),
        loadDraft(deps.db, org_id, params.task_id, principal),
      ]);
      const { version, saved_at, content } = own;
      return {
        status: 200,
        body: { ...content, version, saved_at: saved_at === null ? null : timestamp(saved_at) },
        headers: { ETag: etag(own) },
      };
    },
  }),
  route({
    method: 'PUT',
    path,
    access,
    versioned: true,
    tag,
    operationId: 'saveDraft',
    summary: 'Save my draft of a task',
    description:
      'For an accepted or started task. With `If-Match`, a draft that another window has saved meanwhile is not overwritten.',
    params: Params,
    body: closed(Content),
    responses: {
      200: {
        description: 'When it was saved, and by which save',
        schema: Type.Object(Saved, { description: 'The save' }),
        headers: ['ETag'],
      },
    },
    errors: ['invalid_transition'],
    async handler(call) {
      const saved = await save(call, call.body);
      const body = { ...saved, saved_at: timestamp(saved.saved_at) };
      return { status: 200, body, headers: { ETag: etag(saved) } };
    },
  }),
  route({
    method: 'DELETE',
    path,
    access,
    versioned: true,
    tag,
    operationId: 'deleteDraft',
    summary: 'Delete my draft of a task',
    description: 'For an accepted or started task. A submission deletes the draft too.',
    params: Params,
    responses: { 204: { description: 'Deleted' } },
    errors: ['invalid_transition'],
    async handler(call) {
      await save(call, null);
      return { status: 204 };
    },
  }),
];

/** @throws ApiError 404 for the task of another worker, 409 when it takes no draft now, 412 */
async function save(
  { deps, principal, params, ifMatch, callerGuards }: Call<WorkerPrincipal, { task_id: string }>,
  content: Parameters<typeof saveDraft>[4],
): Promise<{ version: number; saved_at: number }> {
  const admit = (task: Task, own: Draft) => {
    if (!isOwnTask(task, principal)) throw notFound();
    requireVersion(own.version, ifMatch);
    if (!takesDraft(task))
      throw new ApiError('invalid_transition', 'A draft is saved while the task is accepted or started.');
  };
  const { org_id } = principal;
  const saved = await saveDraft(deps.db, org_id, params.task_id, principal, content, admit, callerGuards);
  if (saved === null) throw notFound();
  return saved;
}
