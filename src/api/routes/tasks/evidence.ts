// Evidence: files that a worker uploads for a task and that keys with access to the task can download unchanged.
// Files are untrusted: they are served as attachments, without content sniffing and in a sandbox, so that no browser
// runs them.

import { create as attachment } from 'content-disposition';
import Type from 'typebox';
import {
  EVIDENCE_FILES,
  type Evidence,
  evidenceRef,
  isUploadOf,
  refuseEvidence,
  TASK_FILES,
  takesType,
} from '../../../state/tasks/evidence.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { timestamp } from '../../../state/text/time.ts';
import {
  type Added,
  addEvidence,
  loadAllEvidence,
  loadEvidence,
  loadFiles,
  removeEvidence,
  stageEvidence,
} from '../../../store/evidence/evidence.ts';
import { evidencePath } from '../../../store/evidence/files.ts';
import { dropStaged } from '../../../store/evidence/orphaned-files.ts';
import { FORM_BYTES, UPLOAD_BYTES } from '../../access/in-flight-limits.ts';
import { ownTask } from '../../access/own-task.ts';
import { visibleTask } from '../../access/pool-visibility.ts';
import type { ApiDeps } from '../../deps.ts';
import { wholeList } from '../../http/list.ts';
import { ApiError, notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, pageOf } from '../../http/schemas.ts';
import { type Responses, route, scope } from '../../route.ts';
import { readUpload } from '../../uploads/upload.ts';
import * as schema from './evidence.schema.ts';

const tag = 'Evidence';
const OWN_FILE = '/v1/worker/tasks/{task_id}/evidence/{evidence_id}';
const downloaded: Responses = {
  200: {
    description: 'The bytes, with the media type of the upload',
    type: '*/*',
    schema: Type.Unsafe<unknown>({ type: 'string', format: 'binary' }),
  },
};

export const evidenceRoutes = [
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/evidence',
    access: { kind: 'worker' },
    versioned: true,
    tag,
    operationId: 'uploadEvidence',
    summary: 'Upload a file for one of my tasks',
    description:
      'Takes a form with the single field `file`, or the raw bytes with their media type. Name the file in `evidence_ids` of the submission.',
    params: schema.TaskParams,
    query: closed({
      name: Type.Optional(
        Type.String({ maxLength: 4096, description: 'Name of the file when the body gives none' }),
      ),
    }),
    reader: {
      content: schema.UPLOADS,
      bytes: UPLOAD_BYTES,
      async read({ deps, principal, params, query, ifMatch, signal, request }) {
        // Checked before the bytes are read, and again when the file is added.
        const { task } = await ownTask(deps.db, principal, params.task_id);
        const there = await loadEvidence(deps.db, principal.org_id, params.task_id);
        const code = refuseEvidence(task, principal, there.items);
        if (code !== null) throw refusal(code);
        if (ifMatch !== undefined && ifMatch !== task.version) throw refusal('stale');
        await deps.usage.requireEvidenceRoom(principal.org_id, declaredBytes(request));
        const checkType = (type: string) => {
          if (!takesType(task, type)) throw wrongType(task, type);
        };
        const given = { name: query.name, checkType };
        const { incoming, ...what } = await readUpload(request, deps.evidence, given, signal());
        const { org_id } = principal;
        const staged = await stageEvidence(deps.db, deps.evidence, org_id, params.task_id, incoming).finally(
          () => incoming.close(),
        );
        return {
          value: { staged, what },
          fingerprint: [staged.sha256, what.media_type, what.name].join('\n'),
          release: () => dropStaged(deps.db, deps.evidence, staged),
        };
      },
    },
    responses: { 201: { description: 'The stored file', schema: schema.Evidence } },
    errors: ['invalid_transition'],
    async handler({ deps, principal, params, ifMatch, body, callerGuards, recordResponse }) {
      const limit = await deps.usage.limit(principal.org_id, 'evidence_bytes');
      const to = { ...principal, task_id: params.task_id, limit, callerGuards, ifVersion: ifMatch };
      const added = await addEvidence(deps.db, to, body.staged, body.what, (evidence) =>
        recordResponse(uploadResponse(evidence)),
      );
      if (!added.ok) {
        if (added.code === 'over_quota')
          await deps.usage.requireEvidenceRoom(principal.org_id, body.staged.bytes);
        throw refusal(added.code);
      }
      return uploadResponse(added.evidence);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/worker/tasks/{task_id}/evidence',
    access: { kind: 'worker' },
    tag,
    operationId: 'listUploadedEvidence',
    summary: 'List the files that I have uploaded',
    description: 'Those of this task, oldest first.',
    params: schema.TaskParams,
    responses: { 200: { description: 'The files', schema: pageOf(schema.UploadedEvidence) } },
    async handler({ deps, principal, params }) {
      const { task } = await ownTask(deps.db, principal, params.task_id);
      const items = await loadFiles(deps.db, task, params.task_id);
      return evidenceList(items.filter((one) => isUploadOf(one, principal)));
    },
  }),
  route({
    method: 'GET',
    path: OWN_FILE,
    access: { kind: 'worker' },
    tag,
    operationId: 'downloadUploadedEvidence',
    summary: 'Download a file that I have uploaded',
    description: 'The bytes as they were uploaded, always as an attachment.',
    params: schema.EvidenceParams,
    responses: downloaded,
    async handler({ deps, principal, params }) {
      const { task_id, evidence_id } = params;
      const { task } = await ownTask(deps.db, principal, task_id);
      const items = await loadFiles(deps.db, task, task_id);
      const evidence = items.find((one) => one.evidence_id === evidence_id && isUploadOf(one, principal));
      if (evidence === undefined) throw notFound();
      return download(deps, principal.org_id, { ...evidence, task_id });
    },
  }),
  route({
    method: 'DELETE',
    path: OWN_FILE,
    access: { kind: 'worker' },
    versioned: true,
    tag,
    operationId: 'deleteUploadedEvidence',
    summary: 'Remove a file that I have uploaded',
    description: 'While the task is accepted or started, unless a submission names the file.',
    params: schema.EvidenceParams,
    responses: { 204: { description: 'Removed' } },
    errors: ['invalid_transition'],
    async handler({ deps, principal, params, ifMatch, callerGuards, recordResponse }) {
      await ownTask(deps.db, principal, params.task_id);
      const of = { ...principal, ...params, callerGuards, ifVersion: ifMatch };
      const code = await removeEvidence(deps.db, of, () => recordResponse({ status: 204 }));
      if (code === null) return { status: 204 };
      if (code === 'submitted')
        throw new ApiError('invalid_transition', 'The file is part of a submission, so it stays.');
      throw refusal(code);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks/{task_id}/evidence',
    access: scope('tasks:read'),
    tag,
    operationId: 'listEvidence',
    summary: 'List the files of a task',
    description:
      'All files that workers have uploaded for it, oldest first, whether or not a submission names them.',
    params: schema.TaskParams,
    responses: { 200: { description: 'The files', schema: pageOf(schema.UploadedEvidence) } },
    async handler({ deps, principal, params }) {
      const { task } = await visibleTask(deps.db, principal, params.task_id);
      return evidenceList(await loadAllEvidence(deps.db, task));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks/{task_id}/evidence/{evidence_id}',
    access: scope('tasks:read'),
    tag,
    operationId: 'downloadEvidence',
    summary: 'Download a file of a task',
    description: 'The bytes as they were uploaded, always as an attachment: treat them as untrusted.',
    params: schema.EvidenceParams,
    responses: downloaded,
    async handler({ deps, principal, params }) {
      const { task_id, evidence_id } = params;
      const { task } = await visibleTask(deps.db, principal, task_id);
      const all = await loadAllEvidence(deps.db, task);
      const evidence = all.find((one) => one.evidence_id === evidence_id);
      if (evidence === undefined) throw notFound();
      return download(deps, principal.org_id, evidence);
    },
  }),
];

/** The bytes of a file. @param evidence with the task under which its bytes are stored. */
function download(deps: ApiDeps, orgId: string, evidence: Evidence & { task_id: string }): HttpResponse {
  const path = evidencePath(orgId, evidence.task_id, evidence.evidence_id);
  return {
    status: 200,
    content: () => deps.evidence.open(path, evidence.sha256),
    headers: {
      'Content-Type': evidence.media_type,
      'Content-Length': String(evidence.bytes),
      // RFC 6266; a name that is not ASCII is encoded by RFC 8187.
      'Content-Disposition': attachment(evidence.name),
      'Repr-Digest': `sha-256=:${Buffer.from(evidence.sha256, 'hex').toString('base64')}:`,
      'Content-Security-Policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
      'Cross-Origin-Resource-Policy': 'same-origin',
    },
  };
}

function uploadResponse(evidence: Evidence): HttpResponse {
  return { status: 201, body: evidenceRef(evidence) };
}

function evidenceList(items: Evidence[]): HttpResponse {
  const data = items.map(({ uploaded_at, worker_id, ...ref }) => ({
    ...evidenceRef(ref),
    worker_id,
    uploaded_at: timestamp(uploaded_at),
  }));
  return wholeList(data);
}

function wrongType({ input }: Task, type: string): ApiError {
  const wanted = input.output.evidence_types?.join(', ');
  return new ApiError(
    'unsupported_media_type',
    `The task accepts files of type ${wanted}; this one is ${type}.`,
  );
}

/** Size of the file by Content-Length, at least 1; without the header the size is checked after the upload. */
function declaredBytes({ headers }: { headers: { 'content-length'?: string | undefined } }): number {
  return Math.max(1, Number(headers['content-length'] ?? 1) - FORM_BYTES);
}

function refusal(code: Exclude<Added, { ok: true }>['code']): ApiError {
  switch (code) {
    case 'not_found':
    case 'not_yours':
      return notFound();
    case 'stale':
      return new ApiError('version_mismatch', 'The task is at another version.');
    case 'contended':
    case 'over_quota':
      return new ApiError('conflict', 'The task was changed by other requests at the same time. Try again.');
    case 'full':
      return new ApiError(
        'conflict',
        `A worker can upload ${EVIDENCE_FILES} files for a task, all workers together ${TASK_FILES}.`,
      );
    case 'invalid_transition':
      return new ApiError(code, 'Files can be uploaded while the task is accepted or started.');
  }
}
