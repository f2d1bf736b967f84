// The client of the API: the SDK, with the cookie of the session instead of a key. Every answer tells the session guard
// whether the session still holds, and the clock what time it is.

import { ApiError, BioLayer, ConnectionError, TimeoutError } from '@biolayer/sdk';
import { noteServerTime } from '../time/now.ts';
import { noteSessionEnd } from './session-state.ts';

/** `fetch` with the cookies of the page. */
export async function observedFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, { ...init, credentials: 'same-origin' });
  noteServerTime(response.headers.get('date'));
  if (response.status === 401) noteSessionEnd();
  return response;
}

/** The client for everything but streams. */
export const api = new BioLayer({ apiKey: null, baseUrl: location.origin, fetch: observedFetch });

/**
 * Calls a route that the SDK does not have, such as that of the console's session.
 * @returns the JSON of the answer; undefined for 204
 * @throws ApiError, ConnectionError
 */
export async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'Content-Type': 'application/json' },
      }),
    });
  } catch (error) {
    throw new ConnectionError(location.origin, error);
  }
  noteServerTime(response.headers.get('date'));
  const answer: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw new ApiError(response, answer);
  return answer;
}

/** Whether an error passes by itself: a broken connection, a restart of the server, a limit of requests. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  return error instanceof ApiError && (error.status === 429 || error.status >= 500);
}
