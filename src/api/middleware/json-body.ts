// Reads a JSON body within its bounds: bytes, media type, encoding, nesting, and what can be kept as it came.

import { isUtf8 } from 'node:buffer';
import type { Context } from 'koa';
import getRawBody from 'raw-body';
import { ApiError, type FieldError, invalid } from '../problem.ts';
import { escapePointer } from '../validation.ts';
import { inexactNumbers } from './exact-numbers.ts';

/** Largest body in bytes. */
export const BODY_LIMIT = 256 * 1024;
/** Deepest nesting of objects and arrays. */
const DEPTH_LIMIT = 64;
/** Most names in all objects of a body together. */
const NAMES_LIMIT = 10_000;
/** Fewest bytes a name can take: `"":0,`. */
const NAME_BYTES = 5;
/** Most faults that are told of at once. */
const FAULTS_TOLD = 50;

const NOT_JSON = 'The body must be application/json.';
const HALF = 'half a character (a surrogate without its pair)';

export interface JsonBody {
  /** The bytes as they came, for the fingerprint of idempotency. */
  raw: Buffer;
  value: unknown;
}

export interface BodyLimits {
  bytes: number;
  /** Most names in all objects of the body together. */
  names: number;
}

export const LIMITS: BodyLimits = { bytes: BODY_LIMIT, names: NAMES_LIMIT };

/**
 * Reads the body; null when there is none.
 * @param time how long it may take to arrive, ms.
 * @throws ApiError 400, 408, 413, 415, or 422 for JSON that cannot be kept.
 */
export async function readJsonBody(
  ctx: Context,
  time: number,
  { bytes, names }: BodyLimits = LIMITS,
): Promise<JsonBody | null> {
  const { req } = ctx;
  const hasBody =
    req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (!hasBody) return null;
  const isTyped = req.headers['content-type'] !== undefined;
  // What nearly every client sends needs no parser of media types.
  if (isTyped && req.headers['content-type'] !== 'application/json' && !ctx.is('application/json', '+json'))
    throw new ApiError('unsupported_media_type', NOT_JSON);
  const encoding = req.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new ApiError('unsupported_media_type', 'The body must not be compressed.');
  const raw = await read(ctx, bytes, time);
  // A chunked body says only by its end that it is empty (RFC 9112, section 7.1): then it is none.
  if (raw.length === 0) return null;
  if (!isTyped) throw new ApiError('unsupported_media_type', NOT_JSON);
  let text: string;
  let value: unknown;
  try {
    if (!isUtf8(raw)) throw new SyntaxError('not valid UTF-8');
    text = raw.toString();
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ApiError('malformed_json', `The body is not JSON: ${error.message}`);
  }
  if (!isFit(value, DEPTH_LIMIT)) throw invalid(...unfit(value));
  if (raw.length > names * NAME_BYTES && namesIn(value) > names)
    throw invalid({ pointer: '', message: `has more than ${names} names in its objects` });
  const inexact = inexactNumbers(text, FAULTS_TOLD);
  if (inexact.length > 0) throw invalid(...inexact);
  return { raw, value };
}

/** 408; what may still come of the body is not waited for. */
export function late(): ApiError {
  return new ApiError('request_timeout', 'The body did not arrive in time.', {
    headers: { Connection: 'close' },
  });
}

function namesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inner = Object.values(value);
  const own = Array.isArray(value) ? 0 : inner.length;
  return inner.reduce<number>((sum, one) => sum + namesIn(one), own);
}

function read(ctx: Context, limit: number, time: number): Promise<Buffer> {
  const length = ctx.req.headers['content-length'] ?? null;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), time);
    getRawBody(ctx.req, { length, limit }, (error, body) => {
      clearTimeout(timer);
      if (body !== undefined) resolve(body);
      else reject(broken(error, limit));
    });
  });
}

/** What to tell of a body that could not be read. */
function broken(error: unknown, limit: number): ApiError {
  const type = error instanceof Error && 'type' in error ? error.type : null;
  if (type !== 'entity.too.large') return new ApiError('malformed_json', 'The body did not arrive whole.');
  // What is still on its way is thrown away, and the connection ends.
  return new ApiError('body_too_large', `The body is larger than ${limit} bytes.`, {
    headers: { Connection: 'close' },
  });
}

/**
 * Whether JSON can be kept and hashed as it came: not nested too deep, no number beyond the range of a double,
 * no half character (I-JSON, RFC 7493, sections 2.1 and 2.2).
 */
function isFit(value: unknown, levels: number): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) return value.every((inner) => isFit(inner, levels - 1));
  for (const name of Object.keys(value))
    if (!name.isWellFormed() || !isFit((value as Record<string, unknown>)[name], levels - 1)) return false;
  return true;
}

/** Where the value is not fit, and why. Slower than asking whether it is. */
function unfit(value: unknown, pointer = '', levels = DEPTH_LIMIT, found: FieldError[] = []): FieldError[] {
  if (found.length >= FAULTS_TOLD) return found;
  const fault = (message: string) => found.push({ pointer, message });
  if (typeof value === 'string' && !isFit(value, levels)) fault(`holds ${HALF}`);
  else if (typeof value === 'number' && !isFit(value, levels)) fault('is a number out of range');
  else if (typeof value === 'object' && value !== null) {
    if (levels === 0) fault(`is nested deeper than ${DEPTH_LIMIT} levels`);
    else
      for (const [name, inner] of Object.entries(value))
        if (!name.isWellFormed()) fault(`has a name that holds ${HALF}`);
        else unfit(inner, `${pointer}/${escapePointer(name)}`, levels - 1, found);
  }
  return found;
}
