// Reads a JSON body within its bounds: bytes, media type, encoding, nesting.

import type { Context } from 'koa';
import getRawBody from 'raw-body';
import { ApiError } from '../problem.ts';

/** Largest body in bytes. */
export const BODY_LIMIT = 256 * 1024;
/** Deepest nesting of objects and arrays. */
const DEPTH_LIMIT = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface JsonBody {
  /** The bytes as they came, for the fingerprint of idempotency. */
  raw: Buffer;
  value: unknown;
}

/** Reads the body; null when there is none. @throws ApiError 400, 413 or 415. */
export async function readJsonBody(ctx: Context): Promise<JsonBody | null> {
  const { req } = ctx;
  const hasBody =
    req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (!hasBody) return null;
  if (!ctx.is('application/json', '+json'))
    throw new ApiError('unsupported_media_type', 'The body must be application/json.');
  const encoding = req.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new ApiError('unsupported_media_type', 'The body must not be compressed.');
  const raw = await read(ctx);
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(raw));
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : 'not valid UTF-8';
    throw new ApiError('malformed_json', `The body is not JSON: ${why}`);
  }
  if (isDeeper(value, DEPTH_LIMIT))
    throw new ApiError('malformed_json', `The body is nested deeper than ${DEPTH_LIMIT} levels.`);
  return { raw, value };
}

async function read(ctx: Context): Promise<Buffer> {
  try {
    return await getRawBody(ctx.req, {
      length: ctx.req.headers['content-length'] ?? null,
      limit: BODY_LIMIT,
    });
  } catch (error) {
    const type = error instanceof Error && 'type' in error ? error.type : null;
    if (type !== 'entity.too.large') throw new ApiError('malformed_json', 'The body did not arrive whole.');
    // What is still on its way is not read: the connection ends with the answer.
    throw new ApiError('body_too_large', `The body is larger than ${BODY_LIMIT} bytes.`, {
      headers: { Connection: 'close' },
    });
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
