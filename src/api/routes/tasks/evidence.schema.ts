// Schemas of evidence.

import Type from 'typebox';
import { MAX_EVIDENCE_BYTES } from '../../../state/tasks/evidence.ts';
import { described, idOf, label, time, WorkerId } from '../../http/schemas.ts';

const fields = {
  evidence_id: idOf('file'),
  name: label('Safe file name, made from the last path segment of the given name'),
  media_type: label('Media type, as the upload named it'),
  bytes: Type.Integer({ minimum: 1, maximum: MAX_EVIDENCE_BYTES, description: 'Size in bytes' }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the bytes, in hex' }),
};

/** A file in the response to its upload and in a result. */
export const Evidence = Type.Object(fields, {
  $id: 'Evidence',
  description: 'A file that a worker handed in',
});
/** A file in a list. */
export const UploadedEvidence = Type.Object(
  {
    ...fields,
    worker_id: described(WorkerId, 'Id of the worker who uploaded it'),
    uploaded_at: time('When it was uploaded'),
  },
  { $id: 'UploadedEvidence', description: 'A file that a worker uploaded for a task' },
);

export const TaskParams = Type.Object({ task_id: idOf('task') });
export const EvidenceParams = Type.Object({ task_id: idOf('task'), evidence_id: idOf('file') });

/** Media types of an upload. A schema without a type stands for bytes (OpenAPI 3.1). */
export const UPLOADS = {
  'multipart/form-data': Type.Object(
    {
      file: Type.Unsafe<unknown>({
        type: 'string',
        format: 'binary',
        description: `The file, at most ${MAX_EVIDENCE_BYTES} bytes`,
      }),
    },
    { additionalProperties: false },
  ),
  'application/octet-stream': Type.Unsafe<unknown>({
    type: 'string',
    format: 'binary',
    description: `The bytes, at most ${MAX_EVIDENCE_BYTES}. Any other media type is accepted too and is stored with the file.`,
  }),
};
