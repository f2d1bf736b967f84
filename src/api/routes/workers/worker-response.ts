// The response of routes that return one worker.

import { workerView } from '../../../state/workers/view.ts';
import type { Worker } from '../../../state/workers/worker.ts';
import { etag } from '../../http/etag.ts';
import type { HttpResponse } from '../../http/response.ts';

/** The worker as JSON with the ETag. @param viewer limits the pools shown. @param status 201 adds the Location */
export function workerResponse(
  worker: Worker,
  viewer: { pools: readonly string[] },
  status = 200,
): HttpResponse {
  return {
    status,
    body: workerView(worker, viewer),
    headers: {
      ETag: etag(worker),
      ...(status === 201 && { Location: `/v1/workers/${worker.worker_id}` }),
    },
  };
}
