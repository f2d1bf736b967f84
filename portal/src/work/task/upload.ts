// The upload of one file, with progress, which fetch does not report.

import { ApiError, ConnectionError, type Evidence } from '@biolayer/sdk';
import { noteSessionEnd } from '../../shared/api/session-state.ts';

/** Largest file that the server accepts, bytes. */
export const MAX_BYTES = 25 * 1024 * 1024;

/**
 * Sends a file as evidence of a task. Repeating it with the same key stores the file once.
 * @param onProgress share of the bytes sent, 0–1. @throws ApiError, ConnectionError
 */
export function uploadFile(
  taskId: string,
  file: File,
  key: string,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<Evidence> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const name = new URLSearchParams({ name: file.name });
    request.open('POST', `/v1/worker/tasks/${encodeURIComponent(taskId)}/evidence?${name}`);
    request.setRequestHeader('Content-Type', file.type === '' ? 'application/octet-stream' : file.type);
    request.setRequestHeader('Idempotency-Key', key);
    request.upload.onprogress = (event) => onProgress(event.total === 0 ? 0 : event.loaded / event.total);
    request.onload = () => {
      const answer = parse(request.responseText);
      if (request.status === 401) noteSessionEnd();
      if (request.status === 201) resolve(answer as Evidence);
      else reject(new ApiError(new Response(null, { status: request.status }), answer));
    };
    request.onerror = () => reject(new ConnectionError(location.origin, new Error('network error')));
    request.onabort = () => reject(new ConnectionError(location.origin, new Error('aborted')));
    signal.addEventListener('abort', () => request.abort(), { once: true });
    request.send(file);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whether a task accepts a file of this type. @param ranges media types such as `image/*`; undefined means all */
export function acceptsType(ranges: readonly string[] | undefined, type: string): boolean {
  if (ranges === undefined) return true;
  const [kind] = type.split('/');
  return ranges.some((range) => [type, `${kind}/*`].includes(range.toLowerCase()));
}

/** Whether a browser shows a file of this type as a picture without running anything in it. */
export function isPicture(type: string): boolean {
  return ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'].includes(type);
}
