// Things with a version that their JSON does not show: the version is in the header `ETag`, and a change is sent with
// `If-Match`, so that nobody overwrites what they have not seen.

import { ApiError, BioLayer, type RequestOptions } from '@biolayer/sdk';
import { observedFetch } from './client.ts';

export interface Versioned<T> {
  value: T;
  /** For `If-Match`. */
  etag: string;
}

/** Reads or changes a thing, with its version. @param call one request. @throws ApiError, ConnectionError */
export async function versioned<T>(call: (api: BioLayer) => PromiseLike<T>): Promise<Versioned<T>> {
  let etag = '*';
  const client = new BioLayer({
    apiKey: null,
    baseUrl: location.origin,
    fetch: async (input, init) => {
      const response = await observedFetch(input, init);
      etag = response.headers.get('etag') ?? '*';
      return response;
    },
  });
  const value = await call(client);
  return { value, etag };
}

export function ifMatch(etag: string): RequestOptions {
  return { headers: { 'If-Match': etag } };
}

const ATTEMPTS = 3;

/**
 * Changes a thing that also changes by itself, such as a worker, whose load does. When it has a new version whose fields are
 * those that the person has seen, the change is sent again.
 * @param seen what the person has seen. @param read it again. @param save sends the change.
 * @throws ApiError 412 when one of the fields differs
 */
export async function saveIfUnchanged<T extends object, Result>(
  seen: Versioned<T>,
  fields: readonly (keyof T)[],
  read: () => Promise<Versioned<T>>,
  save: (options: RequestOptions) => PromiseLike<Result>,
): Promise<Result> {
  let { etag } = seen;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await save(ifMatch(etag));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412 || attempt === ATTEMPTS) throw error;
      const now = await read();
      const differs = (name: keyof T) => JSON.stringify(now.value[name]) !== JSON.stringify(seen.value[name]);
      if (fields.some(differs)) throw error;
      etag = now.etag;
    }
  }
}
