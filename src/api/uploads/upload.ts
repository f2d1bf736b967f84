// Receives one uploaded file as a stream: a multipart form with the single field `file`, or a raw body. The file is never
// held in memory as a whole. It is counted, hashed and written to an unnamed file, so that an upload that fails leaves
// nothing behind.

import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { finished, type Readable, Transform } from 'node:stream';
import { Dicer } from '@fastify/busboy';
import { decodeExtended, parse as parseDisposition } from 'content-disposition';
import { parse as parseType } from 'content-type';
import { childPointer } from '../../output-schema/problem.ts';
import { MAX_EVIDENCE_BYTES } from '../../state/tasks/evidence.ts';
import type { EvidenceFiles, Incoming } from '../../store/evidence/files.ts';
import { FORM_BYTES } from '../access/in-flight-limits.ts';
import { ApiError, type FieldError, invalid } from '../http/problem.ts';
import { safeFileName, safeMediaType } from './file-name.ts';

export interface UploadTimes {
  /** Longest silence of the client, ms. */
  silence: number;
  /** How long a running upload may continue when the process shuts down, ms. */
  grace: number;
}

const TIMES: UploadTimes = { silence: 30_000, grace: 15_000 };

export interface Upload {
  name: string;
  media_type: string;
  /** The bytes; the caller must close it. */
  incoming: Incoming;
}

/** What the caller knows of a file before its bytes arrive. */
export interface Given {
  /** File name from the query. */
  name?: string | undefined;
  /** Refuses a media type by throwing. */
  checkType(mediaType: string): void;
}

/**
 * Receives the file of a request.
 * @param signal aborts when the client disconnects or the process shuts down.
 * @throws what `checkType` throws; ApiError 400 for an incomplete body or invalid form, 408 for a silent client, 413 for
 *   a large file, 415 for a compressed body, 422 for an empty file or other fields, 503 when the process shuts down;
 *   FileStoreError.
 */
export async function readUpload(
  request: IncomingMessage,
  files: EvidenceFiles,
  given: Given,
  signal: AbortSignal,
  times = TIMES,
): Promise<Upload> {
  const { headers } = request;
  const type = headers['content-type'];
  const isForm = /^multipart\/form-data\s*(;|$)/i.test(type ?? '');
  const limit = MAX_EVIDENCE_BYTES + (isForm ? FORM_BYTES : 0);
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new ApiError('unsupported_media_type', 'The body must not be compressed.');
  if (Number(headers['content-length'] ?? 0) > limit) throw tooLarge();

  const incoming = await files.receive();
  const arriving = arrivalOf(request, limit, signal, times);
  try {
    let name: string | undefined;
    let mediaType = safeMediaType(type);
    if (isForm) ({ name, mediaType } = await readForm(arriving, type ?? '', incoming, given));
    else {
      given.checkType(mediaType);
      await incoming.fill(arriving, checkSize);
    }
    if (incoming.bytes === 0) throw invalid({ pointer: isForm ? '/file' : '', message: 'is empty' });
    return {
      name: safeFileName(name ?? given.name ?? ''),
      media_type: mediaType,
      incoming,
    };
  } catch (error) {
    arriving.destroy();
    await incoming.close();
    throw error;
  }
}

/**
 * The body of a request as a stream, which fails when the body is too long, silent or incomplete. The request itself is
 * not destroyed, so that it can be answered.
 */
function arrivalOf(
  request: IncomingMessage,
  limit: number,
  signal: AbortSignal,
  { silence, grace }: UploadTimes,
): Readable {
  let bytes = 0;
  const arriving = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      timer.refresh();
      bytes += chunk.length;
      if (bytes > limit) done(tooLarge());
      else done(null, chunk);
    },
  });
  const timer = setTimeout(
    () => arriving.destroy(new ApiError('request_timeout', 'The body did not arrive in time.')),
    silence,
  );
  let closing: NodeJS.Timeout | undefined;
  const onAbort = () => {
    closing = setTimeout(() => arriving.destroy(shuttingDown()), grace);
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort);
  const forget = finished(request, { writable: false }, (error) => {
    if (error) arriving.destroy(new ApiError('malformed_body', 'The body is incomplete.'));
  });
  arriving.once('close', () => {
    clearTimeout(timer);
    clearTimeout(closing);
    signal.removeEventListener('abort', onAbort);
    forget();
  });
  // The reader gets the error too; without a reader it would be unhandled.
  arriving.on('error', () => undefined);
  request.pipe(arriving);
  return arriving;
}

/** Reads a form with the single field `file` (RFC 7578). */
function readForm(
  arriving: Readable,
  contentType: string,
  incoming: Incoming,
  given: Given,
): Promise<{ name: string | undefined; mediaType: string }> {
  return new Promise((resolve, reject) => {
    let filled: Promise<void> | null = null;
    let found: { name: string | undefined; mediaType: string; content: Readable } | null = null;
    let failure: unknown = null;

    const fail = (error: unknown) => {
      if (failure !== null) return;
      failure = error;
      arriving.unpipe(form);
      found?.content.destroy(failed(error));
      // Reject only when writing has stopped: the caller then closes the file.
      Promise.resolve(filled)
        .catch(() => undefined)
        .then(() => reject(failure));
    };
    const refuse = (error: FieldError) => fail(invalid(error));
    const form = openForm(contentType);

    form.on('part', (content) => {
      // The form or the reader of the part reports the error.
      content.on('error', () => undefined);
      content.on('header', (header) => {
        const part = partOf(header as PartHeader);
        if (failure !== null || part === null) return void content.resume();
        if (part.field !== 'file')
          return refuse({ pointer: childPointer('', part.field), message: 'is not a known field' });
        if (found !== null) return refuse({ pointer: '/file', message: 'must be given once' });
        const mediaType = safeMediaType(part.type);
        found = { name: part.name, mediaType, content };
        try {
          given.checkType(mediaType);
        } catch (error) {
          return fail(error);
        }
        filled = incoming.fill(content, checkSize);
        filled.catch(fail);
      });
    });
    form.on('error', (error: unknown) => fail(malformed(error)));
    form.on('finish', () => {
      if (failure !== null) return;
      if (found === null || filled === null) return refuse({ pointer: '/file', message: 'is required' });
      const { name, mediaType } = found;
      filled.then(() => resolve({ name, mediaType }), fail);
    });
    arriving.once('error', fail);
    arriving.pipe(form);
  });
}

/** The headers of a part by lower-case name; each byte is one character. */
type PartHeader = Record<string, string[]>;

/**
 * Field name, file name and type of a part (RFC 7578, section 4.2). `filename*` (RFC 8187) takes precedence over
 * `filename`.
 * @returns null for a part without a field name
 */
function partOf(header: PartHeader): { field: string; name: string | undefined; type: string } | null {
  const [disposition = ''] = header['content-disposition'] ?? [];
  const { parameters } = parseDisposition(textOf(disposition), { multipart: true });
  const { name: field, filename, 'filename*': extended } = parameters;
  if (field === undefined) return null;
  const name = (extended === undefined ? undefined : decodeExtended(extended)) ?? filename;
  return { field, name, type: header['content-type']?.[0] ?? 'text/plain' };
}

/** Header bytes as text: UTF-8, as browsers write it, else ISO 8859-1. */
function textOf(binary: string): string {
  const bytes = Buffer.from(binary, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : binary;
}

/** @throws ApiError 400 */
function openForm(contentType: string): Dicer {
  const { boundary } = parseType(contentType).parameters;
  if (boundary === undefined || boundary === '') throw malformed(new Error('the boundary is missing'));
  const limits = { maxHeaderPairs: 20, maxHeaderSize: 16 * 1024 };
  return new Dicer({ boundary, ...limits });
}

function checkSize(bytes: number): void {
  if (bytes > MAX_EVIDENCE_BYTES) throw tooLarge();
}

function tooLarge(): ApiError {
  return new ApiError('body_too_large', `The file is larger than ${MAX_EVIDENCE_BYTES} bytes.`);
}

function shuttingDown(): ApiError {
  return new ApiError('unavailable', 'The service is shutting down. Try again.', {
    headers: { 'Retry-After': '2' },
  });
}

function malformed(error: unknown): ApiError {
  return new ApiError('malformed_body', `The form is invalid: ${failed(error).message}.`);
}

function failed(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
