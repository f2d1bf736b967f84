// Reads a JSON body and enforces its limits: size, media type, encoding, nesting, and values that can be stored exactly.

import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import getRawBody from 'raw-body';
import { childPointer, MAX_PROBLEMS } from '../../output-schema/problem.ts';
import { MAX_OUTPUT_LEVELS } from '../../output-schema/shorthand.ts';
import { ApiError, type FieldError, invalid } from '../http/problem.ts';
import { numberFaults } from './exact-numbers.ts';

/** Largest body in bytes. */
export const BODY_LIMIT = 256 * 1024;
/** Deepest nesting: that of the deepest output, inside the body that submits it. */
const DEPTH_LIMIT = MAX_OUTPUT_LEVELS + 2;
/** Most names in all objects of a body together. */
const NAMES_LIMIT = 10_000;
/** Fewest bytes of an object member: `"":0,`. */
const NAME_BYTES = 5;
/** Longest name of a member, in UTF-16 units: error responses point at members by name. */
const NAME_LENGTH = 2048;
/** Objects and arrays a body may hold for each name it may hold. */
const CONTAINERS_PER_NAME = 2;
/** Fewest bytes an object or array can take: `[]`. */
const CONTAINER_BYTES = 2;
const [QUOTE, BACKSLASH, BRACKET, BRACE] = Buffer.from('"\\[{');

const NOT_JSON = 'The body must be application/json.';
const SURROGATE = 'an unpaired surrogate';

/** Limits of a JSON body. */
export interface BodyLimits {
  bytes: number;
  /** Most names in all objects of the body together. */
  names: number;
  /** Deepest nesting of objects and arrays. */
  levels: number;
}

export interface JsonBody {
  /** The received bytes, for the fingerprint of the Idempotency-Key. */
  raw: Buffer;
  value: unknown;
}

/** Limits of a body, unless its route sets others. */
export const BODY_LIMITS: BodyLimits = { bytes: BODY_LIMIT, names: NAMES_LIMIT, levels: DEPTH_LIMIT };

/**
 * Reads the body; null if there is none.
 * @param time time limit for receiving it, ms.
 * @throws ApiError 400, 408, 413, 415, or 422 for JSON that cannot be stored exactly
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
  // Skips the media type parser for the value that nearly all clients send.
  if (isTyped && req.headers['content-type'] !== 'application/json' && !ctx.is('application/json', '+json'))
    throw new ApiError('unsupported_media_type', NOT_JSON);
  const encoding = req.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new ApiError('unsupported_media_type', 'The body must not be compressed.');
  const raw = received(ctx.req, bytes) ?? (await read(ctx, bytes, time));
  // An empty chunked body (RFC 9112, section 7.1) counts as no body.
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
  if (!isExact(value, levels)) throw invalid(...inexactFaults(value, levels));
  const tooManyNames = raw.length > names * NAME_BYTES ? nameFault(value, names) : null;
  if (tooManyNames !== null) throw invalid(tooManyNames);
  const inexact = numberFaults(text, MAX_PROBLEMS);
  if (inexact.length > 0) throw invalid(...inexact);
  return { raw, value };
}

/** 408; closes the connection instead of waiting for the rest of the body. */
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

/** The error of a value with more than `most` names in all its objects together; null otherwise. */
export function nameFault(value: unknown, most: number): FieldError | null {
  return namesLeft(value, most) >= 0
    ? null
    : { pointer: '', message: `has more than ${most} names in its objects` };
}

/** `most` minus the number of names in the value; counting stops below 0. */
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

/**
 * The body, if it has arrived and is within the limit. Most bodies arrive with the headers: they need no listeners and no
 * timer. Null for any other.
 */
function received(req: IncomingMessage, limit: number): Buffer | null {
  if (req.readableLength > limit) return null;
  // Node tells that the request is complete only after what its last bytes have started, such as this.
  const hasAll = req.complete || req.readableLength === Number(req.headers['content-length']);
  return hasAll ? (req.read() as Buffer | null) : null;
}

function read(ctx: Context, limit: number, time: number): Promise<Buffer> {
  const length = ctx.req.headers['content-length'] ?? null;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(bodyTimeout()), time);
    getRawBody(ctx.req, { length, limit }, (error, body) => {
      clearTimeout(timer);
      if (body !== undefined) resolve(body);
      else reject(readError(error, limit));
    });
  });
}

/** The error for a body that could not be read. */
function readError(error: unknown, limit: number): ApiError {
  const type = error instanceof Error && 'type' in error ? error.type : null;
  if (type !== 'entity.too.large') return new ApiError('malformed_json', 'The body is incomplete.');
  // The rest of the body is discarded, and the connection ends.
  return new ApiError('body_too_large', `The body is larger than ${limit} bytes.`, {
    headers: { Connection: 'close' },
  });
}

/**
 * Whether JSON can be stored and hashed unchanged: not nested too deeply, no name too long, no number beyond the range of a
 * double, no unpaired surrogate (I-JSON, RFC 7493, sections 2.1 and 2.2).
 */
function isExact(value: unknown, levels: number): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) return value.every((inner) => isExact(inner, levels - 1));
  for (const name of Object.keys(value))
    if (nameFaultOf(name) !== null || !isExact((value as Record<string, unknown>)[name], levels - 1))
      return false;
  return true;
}

/** What is wrong with the name of a member; null if nothing. */
function nameFaultOf(name: string): string | null {
  if (name.length > NAME_LENGTH) return `has a name of more than ${NAME_LENGTH} characters`;
  return name.isWellFormed() ? null : `has a name that contains ${SURROGATE}`;
}

/** The errors of a value for which `isExact` is false; slower than that check. */
function inexactFaults(whole: unknown, most: number): FieldError[] {
  const found: FieldError[] = [];
  const path: (string | number)[] = [];
  const fault = (message: string) => found.push({ pointer: path.reduce<string>(childPointer, ''), message });
  const check = (value: unknown, levels: number): void => {
    if (typeof value !== 'object' || value === null) {
      if (isExact(value, levels)) return;
      fault(typeof value === 'string' ? `contains ${SURROGATE}` : 'is a number out of range');
    } else if (levels === 0) fault(`is nested deeper than ${most} levels`);
    else if (Array.isArray(value)) checkMembers(value.entries(), levels - 1);
    else checkMembers(namesOf(value), levels - 1);
  };
  const checkMembers = (members: Iterable<[string | number, unknown]>, levels: number): void => {
    for (const [name, inner] of members) {
      if (found.length === MAX_PROBLEMS) return;
      const broken = typeof name === 'string' ? nameFaultOf(name) : null;
      if (broken !== null) fault(broken);
      else {
        path.push(name);
        check(inner, levels);
        path.pop();
      }
    }
  };
  check(whole, most);
  return found;
}

function* namesOf(value: object): Generator<[string, unknown]> {
  for (const name of Object.keys(value)) yield [name, (value as Record<string, unknown>)[name]];
}
