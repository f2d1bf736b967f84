// Uploads that are too large, malformed, hostile or interrupted: each is rejected with its reason, and neither bytes nor
// records remain.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createConnection } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createOrg, type Org, startApi, type TestApi } from '../../support/api.ts';
import {
  BOUNDARY,
  type EvidenceView,
  expectOnlyFiles,
  filePart,
  filesIn,
  form,
  MiB,
  open,
  openFilesIn,
  randomChunks,
  send,
  sendForm,
  sha256,
  upload,
  uploadForm,
  uploadPath,
} from '../../support/uploads.ts';
import { createTaskIn, type TestWorker } from '../../support/workers.ts';

const LIMIT = 25 * MiB;

let api: TestApi;
let org: Org;
let person: TestWorker;
let taskId: string;
let path: string;
/** The files that were accepted so far. */
const kept: string[] = [];

beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  const staged = await createTaskIn(api, org, 'started');
  person = staged.person;
  taskId = staged.task.task_id;
  path = uploadPath(taskId);
});
afterAll(() => api?.close());

async function expectRefused(got: { outcome: string }, outcome: string): Promise<void> {
  expect(got.outcome).toBe(outcome);
  await expectOnlyFiles(api, org.org_id, taskId, kept);
}

function taken(got: { outcome: string; json<T>(): T }): EvidenceView {
  expect(got.outcome).toBe('201');
  const evidence = got.json<EvidenceView>();
  kept.push(evidence.evidence_id);
  return evidence;
}

describe('the uploads of one credential', () => {
  it('are limited to four of the largest files; the fifth gets 429', async () => {
    const { client } = person;
    const open5 = Array.from({ length: 5 }, () =>
      open(client, path, 'POST', { 'Content-Length': String(LIMIT) }),
    );
    const answers = open5.map(async (request) => {
      request.on('error', () => undefined);
      request.flushHeaders();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      return [response.statusCode, response.headers['retry-after']];
    });
    expect(await Promise.race(answers)).toEqual([429, '2']);
    const all = Promise.allSettled(answers);
    for (const request of open5) request.destroy(new Error('broken off'));
    expect((await all).filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    await expectOnlyFiles(api, org.org_id, taskId, kept);
  });
});

describe('the size of a file', () => {
  it('may be exactly 25 MiB, raw or in a form', async () => {
    const bytes = randomBytes(LIMIT);
    for (const got of [
      await upload(person.client, taskId, bytes),
      await uploadForm(person.client, taskId, [filePart(bytes)]),
    ]) {
      const evidence = taken(got);
      expect(evidence).toMatchObject({ bytes: LIMIT, sha256: sha256(bytes) });
      const back = await send(org.client, `/v1/tasks/${taskId}/evidence/${evidence.evidence_id}`, {
        method: 'GET',
      });
      expect(back.body.equals(bytes)).toBe(true);
    }
    await expectOnlyFiles(api, org.org_id, taskId, kept);
  });

  it('may not be a byte more with a declared length', async () => {
    await expectRefused(await upload(person.client, taskId, randomBytes(LIMIT + 1)), '413 body_too_large');
  });

  it('is refused before a byte is sent', async () => {
    const request = open(person.client, path, 'POST', { 'Content-Length': String(LIMIT + 1) });
    request.flushHeaders();
    const [response] = await once(request, 'response');
    request.destroy();
    await expectRefused({ outcome: String(response.statusCode) }, '413');
  });

  it('may not be a byte more without a declared length', async () => {
    await expectRefused(await upload(person.client, taskId, randomChunks(LIMIT + 1)), '413 body_too_large');
  });

  it('may not be a byte more in a form, with or without a length', async () => {
    const whole = Buffer.concat([...form([filePart(randomBytes(LIMIT + 1))])]);
    const headers = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };
    await expectRefused(await send(person.client, path, { headers, body: whole }), '413 body_too_large');
    await expectRefused(
      await uploadForm(person.client, taskId, [filePart(randomChunks(LIMIT + 1))]),
      '413 body_too_large',
    );
  });

  it('includes the other parts of a form', async () => {
    function* padded() {
      yield* randomChunks(2 * LIMIT);
      yield Buffer.from('\r\n');
      yield* form([filePart(randomBytes(10))]);
    }
    await expectRefused(await sendForm(person.client, taskId, padded()), '413 body_too_large');
  });

  it('may not be zero', async () => {
    const raw = await upload(person.client, taskId, Buffer.alloc(0));
    await expectRefused(raw, '422 validation_failed');
    expect(raw.problem.errors).toEqual([{ pointer: '', message: 'is empty' }]);
    const inForm = await uploadForm(person.client, taskId, [filePart(Buffer.alloc(0))]);
    await expectRefused(inForm, '422 validation_failed');
    expect(inForm.problem.errors).toEqual([{ pointer: '/file', message: 'is empty' }]);
  });
});

describe('a task that accepts files of some types', () => {
  let choosy: string;
  let other: TestWorker;
  beforeAll(async () => {
    const output = { expected_format: 'text', evidence_types: ['image/*', 'application/PDF'] };
    const staged = await createTaskIn(api, org, 'started', { output });
    choosy = staged.task.task_id;
    other = staged.person;
  });

  it.each(['image/png', 'IMAGE/JPEG; q=1', 'application/pdf'])(
    'accepts %s, raw or in a form',
    async (type) => {
      const raw = await upload(other.client, choosy, randomBytes(9), { 'Content-Type': type });
      const inForm = await uploadForm(other.client, choosy, [filePart(randomBytes(9), { type })]);
      expect([raw.outcome, inForm.outcome]).toEqual(['201', '201']);
    },
  );

  it.each(['text/html', 'imagery/png', 'application/pdfx', 'nothing'])('refuses %s', async (type) => {
    const before = await filesIn(api.evidence);
    const raw = await upload(other.client, choosy, randomBytes(9), { 'Content-Type': type });
    const inForm = await uploadForm(other.client, choosy, [filePart(randomBytes(9), { type })]);
    for (const got of [raw, inForm]) {
      expect(got.outcome).toBe('415 unsupported_media_type');
      expect(got.problem.detail).toContain('accepts files of type image/*, application/PDF');
    }
    await vi.waitFor(async () => expect(await filesIn(api.evidence)).toEqual(before));
  });

  it('shows them to the worker and to readers of the task', async () => {
    const { output } = await other.client.get<{ output: unknown }>(`/v1/worker/tasks/${choosy}`);
    expect(output).toMatchObject({ evidence_types: ['image/*', 'application/PDF'] });
    expect(await org.client.get(`/v1/tasks/${choosy}`)).toMatchObject({ output });
  });
});

describe('an aborted upload', () => {
  const inForm = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };
  it.each([
    ['raw, with a length that it does not keep', { 'Content-Length': String(5 * MiB) }, false],
    ['raw, in chunks', {}, false],
    ['as a form', inForm, true],
  ])('%s leaves nothing', async (_, headers, isForm) => {
    const request = open(person.client, path, 'POST', headers as Record<string, string>);
    request.on('error', () => undefined);
    if (isForm) request.write(`--${BOUNDARY}\r\n${filePart([]).head}\r\n\r\n`);
    for (const piece of randomChunks(3 * MiB)) if (!request.write(piece)) await once(request, 'drain');
    // The incoming file has no name and is held open by the API, which runs in this process.
    await vi.waitFor(async () => expect(await openFilesIn(api.evidence)).toHaveLength(1), {
      timeout: 20_000,
    });
    request.destroy();
    await expectOnlyFiles(api, org.org_id, taskId, kept);
  });
});

describe('a form', () => {
  const file = () => filePart(randomBytes(10));
  const text = { head: 'Content-Disposition: form-data; name="note"', body: [Buffer.from('x')] };
  it.each([
    ['without a file', () => [], '/file', 'is required'],
    ['with another field', () => [text], '/note', 'is not a known field'],
    ['with another field before the file', () => [text, file()], '/note', 'is not a known field'],
    ['with another field after the file', () => [file(), text], '/note', 'is not a known field'],
    [
      'with a file of another name',
      () => [filePart(randomBytes(9), { field: 'a/b' })],
      '/a~1b',
      'is not a known field',
    ],
    ['with two files', () => [file(), file()], '/file', 'must be given once'],
  ])('%s is refused', async (_, parts, pointer, message) => {
    const got = await uploadForm(person.client, taskId, parts());
    await expectRefused(got, '422 validation_failed');
    expect(got.problem.errors).toEqual([{ pointer, message }]);
  });

  it.each([
    ['that ends before its end', () => form([file()], '')],
    ['that ends within its file', () => [...form([file()])].slice(0, 2)],
    ['that ends within a head', () => [Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form`)]],
    ['that is none', () => [Buffer.from('no form at all')]],
  ])('%s is refused', async (_, body) => {
    await expectRefused(await sendForm(person.client, taskId, body()), '400 malformed_body');
  });

  it('without a boundary is refused', async () => {
    const headers = { 'Content-Type': 'multipart/form-data' };
    await expectRefused(
      await send(person.client, path, { headers, body: randomBytes(9) }),
      '400 malformed_body',
    );
  });

  it('may have a preamble and an epilogue', async () => {
    const bytes = randomBytes(50);
    const body = [Buffer.from('preamble\r\n'), ...form([filePart(bytes)]), Buffer.from('epilogue')];
    expect(taken(await sendForm(person.client, taskId, body)).sha256).toBe(sha256(bytes));
  });

  const plain = 'filename="recu.png"';
  it.each([
    ['first', `name="file"; filename*=utf-8''re%C3%A7u.png; ${plain}`],
    ['last', `name="file"; ${plain}; filename*=UTF-8''re%C3%A7u.png`],
    ['last, the others unquoted', "name=file; filename=recu.png; filename*=utf-8'fr're%C3%A7u.png"],
    ['before the field, unquoted', "filename*=utf-8''re%C3%A7u.png; filename=recu.png; name=file"],
    ['in quotes', `${plain}; filename*="utf-8''re%C3%A7u.png"; name=file`],
    ['in ISO 8859-1', `name=file; ${plain}; filename*=iso-8859-1''re%E7u.png`],
  ])('takes the name from filename*: %s', async (_, parameters) => {
    const head = `Content-Disposition: form-data; ${parameters}`;
    const got = await uploadForm(person.client, taskId, [{ head, body: [Buffer.from('x')] }]);
    expect(taken(got).name).toBe('reçu.png');
  });

  it('may have a file without name and type', async () => {
    const part = { head: 'content-disposition:form-data;name=file', body: [Buffer.from('x')] };
    const evidence = taken(await uploadForm(person.client, taskId, [part]));
    expect(evidence).toMatchObject({ name: 'file', media_type: 'text/plain', bytes: 1 });
  });
});

describe('what a client declares of a file', () => {
  it.each([
    ['../../../etc/passwd', 'passwd'],
    ['C:\\Users\\me\\report.pdf', 'report.pdf'],
    ['..', 'file'],
    ['', 'file'],
    ['a\r\nX-Evil: 1\u0000.pdf', 'aX-Evil_ 1.pdf'],
    ['say "hi".txt', 'say _hi_.txt'],
    ['CON.txt', '_'],
    ['.htaccess', 'htaccess'],
    ['invoice\u202Efdp.exe', 'invoicefdp.exe'],
    ['Пример 报告 🦊.pdf', 'Пример 报告 🦊.pdf'],
    [`${'ü'.repeat(1000)}.pdf`, `${'ü'.repeat(98)}.pdf`],
  ])('the name %j is stored as %j', async (name, safe) => {
    const evidence = taken(await upload(person.client, taskId, randomBytes(9), {}, name));
    expect(evidence.name).toBe(safe);
    const back = await send(org.client, `/v1/tasks/${taskId}/evidence/${evidence.evidence_id}`, {
      method: 'GET',
    });
    expect(back.status).toBe(200);
    expect(back.headers['content-disposition']).toMatch(
      /^attachment; filename=("[^"\r\n]+"|[\w.]+)(; filename\*=UTF-8''[^\s;]+)?$/,
    );
    expect(back.headers['x-evil']).toBeUndefined();
    await expectOnlyFiles(api, org.org_id, taskId, kept);
  });

  it.each([
    ['text/html; charset=utf-8', 'text/html'],
    ['IMAGE/PNG', 'image/png'],
    ['nonsense', 'application/octet-stream'],
    ['text/html, text/plain', 'application/octet-stream'],
    ['multipart/x-mixed-replace; boundary=x', 'application/octet-stream'],
    [`text/${'x'.repeat(200)}`, 'application/octet-stream'],
  ])('the type %j is stored as %j', async (type, safe) => {
    const got = await upload(person.client, taskId, randomBytes(9), { 'Content-Type': type });
    expect(taken(got).media_type).toBe(safe);
  });

  it('may lack a type', async () => {
    const got = await send(person.client, path, { body: randomBytes(9) });
    expect(taken(got)).toMatchObject({ name: 'file', media_type: 'application/octet-stream' });
  });

  it('must be uncompressed, with known parameters only', async () => {
    const zipped = { 'Content-Encoding': 'gzip' };
    await expectRefused(
      await upload(person.client, taskId, randomBytes(9), zipped),
      '415 unsupported_media_type',
    );
    const odd = await send(person.client, `${path}?title=x`, { body: randomBytes(9) });
    await expectRefused(odd, '400 invalid_query');
  });
});

it.each(['close', 'keep-alive'])(
  'a refused client gets its response although it sends everything before it reads (%s)',
  async (connection) => {
    const socket = createConnection(Number(new URL(api.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\nContent-Length: ${20 * MiB}\r\n\r\n`,
    );
    await pipeline(Readable.from(randomChunks(20 * MiB)), socket, { end: false });
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1.1 401 /);
    socket.destroy();
  },
);
