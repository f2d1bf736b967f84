// The response of routes that return one worker.

import { workerView } from '../../../state/workers/view.ts';
import type { Worker } from '../../../state/workers/worker.ts';
import type { Answer } from '../../http/answer.ts';
import { etag } from '../../http/etag.ts';

/** The worker as JSON with the ETag. @param viewer limits the pools shown. @param status 201 adds the Location */
export function workerAnswer(worker: Worker, viewer: { pools: readonly string[] }, status = 200): Answer {
  return {
    status,
    body: workerView(worker, viewer),
    headers: {
      ETag: etag(worker),
      ...(status === 201 && { Location: `/v1/workers/${worker.worker_id}` }),
    },
  };
}
