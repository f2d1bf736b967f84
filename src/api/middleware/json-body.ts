// Reads a JSON body within its bounds: bytes, media type, encoding, nesting, and what can be kept as it came.

import { isUtf8 } from 'node:buffer';
import type { Context } from 'koa';
import getRawBody from 'raw-body';
import { childPointer, MAX_PROBLEMS } from '../../output-schema/problem.ts';
import { MAX_OUTPUT_LEVELS } from '../../output-schema/shorthand.ts';
import { ApiError, type FieldError, invalid } from '../http/problem.ts';
import { numberFaults } from './exact-numbers.ts';

/** Largest body in bytes. */
export const BODY_LIMIT = 256 * 1024;
/** Deepest nesting of objects and arrays: that of the deepest output, within the body that hands it in. */
const DEPTH_LIMIT = MAX_OUTPUT_LEVELS + 2;
/** Most names in all objects of a body together. */
const NAMES_LIMIT = 10_000;
/** Fewest bytes a name can take: `"":0,`. */
const NAME_BYTES = 5;
/** Longest name of a member, in UTF-16 units: error answers point at members by name. */
const NAME_LENGTH = 2048;
/** Objects and arrays a body may hold for each name it may hold. */
const CONTAINERS_PER_NAME = 2;
/** Fewest bytes an object or array can take: `[]`. */
const CONTAINER_BYTES = 2;
const [QUOTE, BACKSLASH, BRACKET, BRACE] = Buffer.from('"\\[{');

const NOT_JSON = 'The body must be application/json.';
const HALF = 'half a character (a surrogate without its pair)';

/** Limits of a JSON body. */
export interface BodyLimits {
  bytes: number;
  /** Most names in all objects of the body together. */
  names: number;
  /** Deepest nesting of objects and arrays. */
  levels: number;
}

export interface JsonBody {
  /** The bytes as they came, for the fingerprint of idempotency. */
  raw: Buffer;
  value: unknown;
}

/** Limits of a body, unless its route sets others. */
export const BODY_LIMITS: BodyLimits = { bytes: BODY_LIMIT, names: NAMES_LIMIT, levels: DEPTH_LIMIT };

/**
 * Reads the body; null when there is none.
 * @param time how long it may take to arrive, ms.
 * @throws ApiError 400, 408, 413, 415, or 422 for JSON that cannot be kept.
 */
export async function readJsonBody(
  ctx: Context,
  time: number,
  { bytes, names, levels }: BodyLimits = BODY_LIMITS,
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
  if (hasMoreContainers(raw, names * CONTAINERS_PER_NAME))
    throw invalid({
      pointer: '',
      message: `has more than ${names * CONTAINERS_PER_NAME} objects and arrays`,
    });
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
  if (!isFit(value, levels)) throw invalid(...unfit(value, levels));
  const tooManyNames = raw.length > names * NAME_BYTES ? nameFault(value, names) : null;
  if (tooManyNames !== null) throw invalid(tooManyNames);
  const inexact = numberFaults(text, MAX_PROBLEMS);
  if (inexact.length > 0) throw invalid(...inexact);
  return { raw, value };
}

/** 408; what may still come of the body is not waited for. */
export function bodyTimeout(): ApiError {
  return new ApiError('request_timeout', 'The body did not arrive in time.', {
    headers: { Connection: 'close' },
  });
}

/**
 * Whether JSON text has more than `most` objects and arrays. Asked before the text is parsed, because creating and
 * collecting them is what costs most processor time.
 */
function hasMoreContainers(json: Buffer, most: number): boolean {
  if (json.length <= most * CONTAINER_BYTES) return false;
  let count = 0;
  let isInString = false;
  for (let index = 0; index < json.length; index += 1) {
    const byte = json[index];
    if (isInString) {
      if (byte === BACKSLASH) index += 1;
      else if (byte === QUOTE) isInString = false;
    } else if (byte === QUOTE) isInString = true;
    else if (byte === BRACKET || byte === BRACE) {
      count += 1;
      if (count > most) return true;
    }
  }
  return false;
}

/** What is wrong with a value that has more than `most` names in all its objects together; null if it has not. */
export function nameFault(value: unknown, most: number): FieldError | null {
  return namesLeft(value, most) >= 0
    ? null
    : { pointer: '', message: `has more than ${most} names in its objects` };
}

/** How many more names there may be beside those in the value; below 0 where it has too many. */
function namesLeft(value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return most;
  const inner: unknown[] = Array.isArray(value) ? value : Object.values(value);
  let left = Array.isArray(value) ? most : most - inner.length;
  for (const one of inner) {
    if (left < 0) break;
    left = namesLeft(one, left);
  }
  return left;
}

function read(ctx: Context, limit: number, time: number): Promise<Buffer> {
  const length = ctx.req.headers['content-length'] ?? null;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(bodyTimeout()), time);
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
 * Whether JSON can be kept and hashed as it came: not nested too deep, no name too long, no number beyond the range of a
 * double, no half character (I-JSON, RFC 7493, sections 2.1 and 2.2).
 */
function isFit(value: unknown, levels: number): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) return value.every((inner) => isFit(inner, levels - 1));
  for (const name of Object.keys(value))
    if (nameFaultOf(name) !== null || !isFit((value as Record<string, unknown>)[name], levels - 1))
      return false;
  return true;
}

/** What is wrong with the name of a member; null if nothing. */
function nameFaultOf(name: string): string | null {
  if (name.length > NAME_LENGTH) return `has a name of more than ${NAME_LENGTH} characters`;
  return name.isWellFormed() ? null : `has a name that holds ${HALF}`;
}

/** Where the value is not fit, and why. Slower than asking whether it is. */
function unfit(whole: unknown, most: number): FieldError[] {
  const found: FieldError[] = [];
  const path: (string | number)[] = [];
  const fault = (message: string) => found.push({ pointer: path.reduce<string>(childPointer, ''), message });
  const look = (value: unknown, levels: number): void => {
    if (typeof value !== 'object' || value === null) {
      if (isFit(value, levels)) return;
      fault(typeof value === 'string' ? `holds ${HALF}` : 'is a number out of range');
    } else if (levels === 0) fault(`is nested deeper than ${most} levels`);
    else if (Array.isArray(value)) lookAt(value.entries(), levels - 1);
    else lookAt(namesOf(value), levels - 1);
  };
  const lookAt = (members: Iterable<[string | number, unknown]>, levels: number): void => {
    for (const [name, inner] of members) {
      if (found.length === MAX_PROBLEMS) return;
      const broken = typeof name === 'string' ? nameFaultOf(name) : null;
      if (broken !== null) fault(broken);
      else {
        path.push(name);
        look(inner, levels);
        path.pop();
      }
    }
  };
  look(whole, most);
  return found;
}

function* namesOf(value: object): Generator<[string, unknown]> {
  for (const name of Object.keys(value)) yield [name, (value as Record<string, unknown>)[name]];
}
