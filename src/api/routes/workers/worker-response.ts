// The response of routes that return one worker.

import { workerView } from '../../../state/workers/view.ts';
import type { Worker } from '../../../state/workers/worker.ts';
import { versionedResponse } from '../../http/etag.ts';
import type { HttpResponse } from '../../http/response.ts';

/** The worker as JSON with the ETag. @param viewer limits the pools shown. @param status 201 adds the Location */
export function workerResponse(
  worker: Worker,
  viewer: { pools: readonly string[] },
  status = 200,
): HttpResponse {
  return versionedResponse(worker, workerView(worker, viewer), `/v1/workers/${worker.worker_id}`, status);
}
