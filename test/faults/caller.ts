// A client of a trial: it repeats its requests while parts of the system are down.

import { setTimeout as sleep } from 'node:timers/promises';

export type Json = Record<string, unknown>;
/** Resolves to the body of the answer and its status, as `http`. */
export type Call = (
  method: string,
  path: string,
  credential: string,
  body?: Json,
  headers?: Json,
) => Promise<Json>;

/** Repeats a request until it gets a response other than 503; a 404 or 409 is a response. */
export function caller(url: string, over: AbortSignal): Call {
  return async (method, path, credential, body, headers = {}) => {
    for (;;) {
      over.throwIfAborted();
      try {
        const answer = await fetch(url + path, {
          method,
          headers: {
            authorization: `Bearer ${credential}`,
            ...(body !== undefined && { 'content-type': 'application/json' }),
            ...(headers as Record<string, string>),
          },
          ...(body !== undefined && { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(10_000),
        });
        const text = await answer.text();
        const json = text === '' ? {} : (JSON.parse(text) as Json);
        if (answer.status !== 503 && json.code !== 'idempotency_in_flight')
          return { ...json, http: answer.status };
      } catch (error) {
        if (over.aborted) throw error;
      }
      await sleep(50);
    }
  };
}

/** The items of a page. @throws Error with the answer if it is not a page. */
export function listed<T>(answer: Json): T[] {
  if (!Array.isArray(answer.data)) throw new Error(`a list answered ${JSON.stringify(answer)}`);
  return answer.data as T[];
}
