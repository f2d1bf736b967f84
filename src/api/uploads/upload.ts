// Takes in one uploaded file as it streams: a multipart form with the one field `file`, or a raw body. Never
// whole in memory; counted, hashed and kept in a file without a name, so that whatever stops it (too large,
// too slow, client gone, shut down) leaves nothing.

import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { finished, type Readable, Transform } from 'node:stream';
import { Dicer } from '@fastify/busboy';
import { decodeExtended, parse as parseDisposition } from 'content-disposition';
import { parse as parseType } from 'content-type';
import { childPointer } from '../../output-schema/problem.ts';
import { EVIDENCE_BYTES, FORM_BYTES } from '../../state/access/in-flight-limits.ts';
import type { EvidenceFiles, Incoming } from '../../store/evidence/files.ts';
import { ApiError, type FieldError, invalid } from '../http/problem.ts';
import { safeFileName, safeMediaType } from './file-name.ts';

export interface UploadTimes {
  /** Longest silence of the client, ms. */
  silence: number;
  /** How long an upload may go on when the process shuts down, ms. */
  grace: number;
}

const TIMES: UploadTimes = { silence: 30_000, grace: 15_000 };

export interface Upload {
  name: string;
  media_type: string;
  /** The bytes; to be closed by whoever has the upload. */
  incoming: Incoming;
}

/** What is known of a file before its bytes come. */
export interface Given {
  /** What the query says of the name. */
  name?: string | undefined;
  /** Refuses a media type by throwing. */
  checkType(mediaType: string): void;
}

/**
 * Takes in the file of a request.
 * @param signal aborts when the client is gone or the process shuts down.
 * @throws what `checkType` throws; ApiError 400 for what is not whole or no form, 408 for silence, 413, 415 for compressed bytes,
 *   422 for an empty file or other fields; 503 when the process shuts down. FileStoreError.
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
  const limit = EVIDENCE_BYTES + (isForm ? FORM_BYTES : 0);
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

/** The bytes of a request, which fail when it is too long, falls silent or breaks off. The request itself stays as it is, for the answer. */
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
    () => arriving.destroy(new ApiError('request_timeout', 'Nothing more of the body came.')),
    silence,
  );
  let closing: NodeJS.Timeout | undefined;
  const onAbort = () => {
    closing = setTimeout(() => arriving.destroy(shuttingDown()), grace);
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort);
  const forget = finished(request, { writable: false }, (error) => {
    if (error) arriving.destroy(new ApiError('malformed_body', 'The body did not arrive whole.'));
  });
  arriving.once('close', () => {
    clearTimeout(timer);
    clearTimeout(closing);
    signal.removeEventListener('abort', onAbort);
    forget();
  });
  // An error is told to whoever reads; nobody may be reading yet, or any more.
  arriving.on('error', () => undefined);
  request.pipe(arriving);
  return arriving;
}

/** Reads a form of the one field `file` (RFC 7578). */
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
      // Nothing may be writing any more when the caller closes what it wrote to.
      Promise.resolve(filled)
        .catch(() => undefined)
        .then(() => reject(failure));
    };
    const refuse = (error: FieldError) => fail(invalid(error));
    const form = openForm(contentType);

    form.on('part', (content) => {
      // Told by the form, or by whoever reads the part.
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

/** The lines of a part's head by their name in small letters; each byte is one character. */
type PartHeader = Record<string, string[]>;

/**
 * What a part's head says (RFC 7578, section 4.2). Where there is a `filename*` (RFC 8187) as well as a `filename`, the
 * former counts, whatever their order and quoting.
 * @returns null for a part that says no field.
 */
function partOf(header: PartHeader): { field: string; name: string | undefined; type: string } | null {
  const [disposition = ''] = header['content-disposition'] ?? [];
  const { parameters } = parseDisposition(textOf(disposition), { multipart: true });
  const { name: field, filename, 'filename*': extended } = parameters;
  if (field === undefined) return null;
  const name = (extended === undefined ? undefined : decodeExtended(extended)) ?? filename;
  return { field, name, type: header['content-type']?.[0] ?? 'text/plain' };
}

/** Browsers write names in UTF-8; anything else is taken for ISO 8859-1. */
function textOf(binary: string): string {
  const bytes = Buffer.from(binary, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : binary;
}

/** @throws ApiError 400 */
function openForm(contentType: string): Dicer {
  const { boundary } = parseType(contentType).parameters;
  if (boundary === undefined || boundary === '') throw malformed(new Error('there is no boundary'));
  const limits = { maxHeaderPairs: 20, maxHeaderSize: 16 * 1024 };
  return new Dicer({ boundary, ...limits });
}

function checkSize(bytes: number): void {
  if (bytes > EVIDENCE_BYTES) throw tooLarge();
}

function tooLarge(): ApiError {
  return new ApiError('body_too_large', `The file is larger than ${EVIDENCE_BYTES} bytes.`);
}

function shuttingDown(): ApiError {
  return new ApiError('unavailable', 'The service is shutting down. Try again.', {
    headers: { 'Retry-After': '2' },
  });
}

function malformed(error: unknown): ApiError {
  return new ApiError('malformed_body', `The form cannot be read: ${failed(error).message}.`);
}

function failed(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
