// Sends uploads in all forms: complete, in pieces, with a wrong length, or interrupted; and checks what they leave.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, vi } from 'vitest';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import type { Client, Problem, TestApi } from './api.ts';

export const MiB = 1024 * 1024;

export interface EvidenceView {
  evidence_id: string;
  name: string;
  media_type: string;
  bytes: number;
  sha256: string;
}

export interface UploadResponse {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
  json<T>(): T;
  /** The status and, of an error, its code. */
  outcome: string;
  problem: Problem;
}

export interface UploadRequest {
  method?: string;
  headers?: Record<string, string>;
  /** Complete, or in pieces, which are sent without a Content-Length unless `headers` has one. */
  body?: Buffer | Iterable<Buffer>;
}

/** Sends a request with Node's client, which adds no headers and receives a response that arrives before the end of the body. */
export async function send(
  client: Client,
  path: string,
  { method = 'POST', headers, body }: UploadRequest = {},
) {
  const request = open(client, path, method, headers);
  request.on('error', () => undefined);
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  if (body === undefined || body instanceof Buffer) request.end(body);
  else Readable.from(body, { objectMode: false }).pipe(request);
  const [response] = await answered;
  const got = await readResponse(response);
  // After the response, the rest of the body is not sent.
  if (!request.writableFinished) request.destroy();
  return got;
}

async function readResponse(response: IncomingMessage): Promise<UploadResponse> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const whole = Buffer.concat(pieces);
  const json = <T>() => JSON.parse(whole.toString()) as T;
  const status = response.statusCode ?? 0;
  return {
    status,
    headers: response.headers,
    body: whole,
    json,
    get outcome() {
      return status < 400 ? String(status) : `${status} ${json<Problem>().code}`;
    },
    get problem() {
      return json<Problem>();
    },
  };
}

/** Opens a request, which the caller completes. */
export function open(client: Client, path: string, method = 'POST', headers: Record<string, string> = {}) {
  const { hostname, port } = new URL(client.url);
  return httpRequest({
    hostname,
    port,
    path,
    method,
    agent: false,
    headers: { Authorization: `Bearer ${client.credential}`, ...headers },
  });
}

/** Uploads a file as the body of the request. */
export function upload(
  client: Client,
  taskId: string,
  body: UploadRequest['body'],
  headers = {},
  name?: string,
) {
  const query = name === undefined ? '' : `?name=${encodeURIComponent(name)}`;
  const type = { 'Content-Type': 'application/pdf', ...headers };
  return send(client, `${uploadPath(taskId)}${query}`, { headers: type, body: body ?? Buffer.alloc(0) });
}

export function uploadPath(taskId: string): string {
  return `/v1/worker/tasks/${taskId}/evidence`;
}

export interface Part {
  /** The headers of the part, as sent. */
  head: string;
  body: Iterable<Buffer>;
}

export const BOUNDARY = '----7e2f';

/** The part of a form that holds a file. */
export function filePart(
  body: Buffer | Iterable<Buffer>,
  { field = 'file', name = 'a.pdf', type = 'application/pdf' } = {},
): Part {
  const head = `Content-Disposition: form-data; name="${field}"; filename="${name}"\r\nContent-Type: ${type}`;
  return { head, body: Buffer.isBuffer(body) ? [body] : body };
}

/** The bytes of a form, piece by piece. */
export function* form(parts: readonly Part[], end = `--${BOUNDARY}--\r\n`): Generator<Buffer> {
  for (const { head, body } of parts) {
    yield Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\n`);
    yield* body;
    yield Buffer.from('\r\n');
  }
  yield Buffer.from(end);
}

export function uploadForm(client: Client, taskId: string, parts: readonly Part[], end?: string) {
  return sendForm(client, taskId, form(parts, end));
}

export function sendForm(client: Client, taskId: string, body: Iterable<Buffer>) {
  const headers = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };
  return send(client, uploadPath(taskId), { headers, body });
}

/** Random bytes, in pieces of at most 64 KiB. */
export function* randomChunks(bytes: number): Generator<Buffer> {
  const piece = randomBytes(Math.min(bytes, 64 * 1024));
  for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The files of the store, by their path in it. */
export async function filesIn(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name).slice(folder.length + 1))
    .sort();
}

/** Waits until no upload is in progress, and expects exactly these files and records, and no orphaned files. */
export async function expectOnlyFiles(api: TestApi, orgId: string, taskId: string, ids: readonly string[]) {
  await vi.waitFor(async () => expect(await openFilesIn(api.evidence)).toEqual([]), { timeout: 20_000 });
  const keys = orgKeysOf(api.prefix, orgId);
  const ofTask = (path: string) => path.startsWith(`${orgId}/${taskId}`);
  await vi.waitFor(
    async () => expect((await api.redis.zrange(keys.orphanedFiles, '0', '-1')).filter(ofTask)).toEqual([]),
    { timeout: 20_000 },
  );
  const paths = [...ids].sort().map((id) => `${orgId}/${taskId}/${id}`);
  expect((await filesIn(api.evidence)).filter(ofTask)).toEqual(paths);
  const known = await api.redis.hkeys(keys.evidence(taskId));
  expect(known.filter((one) => one !== 'v').sort()).toEqual([...ids].sort());
}

/** Open files of this process in a folder. The API runs in this process, and uploads in progress have no other trace. */
export async function openFilesIn(folder: string): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  const paths = await Promise.all(descriptors.map((one) => readlink(`/proc/self/fd/${one}`).catch(() => '')));
  return paths.filter((one) => one.startsWith(folder));
}
