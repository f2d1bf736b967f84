// Failures during upload and download: silent clients and clients that exceed the limit, processes that shut down or are
// killed, and stored bytes that are missing or changed.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { type AddressInfo, createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import Koa from 'koa';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ApiError } from '../../../src/api/http/problem.ts';
import { unreadBody } from '../../../src/api/middleware/unread-body.ts';
import { readUpload, type UploadTimes } from '../../../src/api/uploads/upload.ts';
import { type EvidenceFiles, openEvidenceFiles } from '../../../src/store/evidence/files.ts';
import { newCredential } from '../../../src/store/identity/credential-text.ts';
import { workerTokenWrites } from '../../../src/store/identity/worker-tokens.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { createOrg, type Org, startApi, type TestApi } from '../../support/api.ts';
import { accept, addTask, addWorker, freshOrg, offerTo, openTestDb } from '../../support/db.ts';
import { testRedisUrl } from '../../support/redis.ts';
import {
  type EvidenceView,
  filesIn,
  MiB,
  randomChunks,
  send,
  upload,
  uploadPath,
} from '../../support/uploads.ts';
import { createTaskIn, type TestWorker } from '../../support/workers.ts';

const folder = await mkdtemp(join(tmpdir(), 'biolayer-evidence-'));
let files: EvidenceFiles;
beforeAll(async () => {
  files = await openEvidenceFiles(join(folder, 'store'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('an upload that does not end', () => {
  /** A server that receives one upload and answers with its error code. */
  function receiver(signal: AbortSignal, times: UploadTimes): Promise<number> {
    const server = createServer((request, response) => {
      readUpload(request, files, { checkType: () => undefined }, signal, times).then(
        async ({ incoming }) => {
          await incoming.close();
          response.end('taken');
        },
        (error) => response.end(error instanceof ApiError ? error.code : String(error)),
      );
    });
    return listen(server);
  }

  /** Sends the beginning of an upload and then nothing. @returns the answer */
  async function beginAt(port: number, headers = {}, then = () => {}): Promise<string> {
    const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', agent: false, headers });
    request.on('error', () => undefined);
    request.write(headers === FORM ? `--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc` : 'abc');
    const answered = once(request, 'response');
    then();
    const [response] = await answered;
    const said = await text(response);
    request.destroy();
    return said;
  }
  const FORM = { 'Content-Type': 'multipart/form-data; boundary=x' };

  it.each([
    ['raw', {}],
    ['as a form', FORM],
  ])('%s is aborted when the client stops sending', async (_, headers) => {
    const port = await receiver(new AbortController().signal, { silence: 150, grace: 60_000 });
    expect(await beginAt(port, headers)).toBe('request_timeout');
  });

  it('is accepted from a slow client that keeps sending', async () => {
    const silence = 1500;
    const port = await receiver(new AbortController().signal, { silence, grace: 60_000 });
    const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', agent: false });
    const end = performance.now() + silence + 300;
    const drip = setInterval(() => {
      if (performance.now() < end) return request.write('a');
      clearInterval(drip);
      return request.end();
    }, 50);
    const [response] = await once(request, 'response');
    expect(await text(response)).toBe('taken');
  });

  it('is aborted some time after the process is told to end', async () => {
    const closing = new AbortController();
    const port = await receiver(closing.signal, { silence: 60_000, grace: 150 });
    expect(await beginAt(port, {}, () => closing.abort())).toBe('unavailable');
    // Told before the upload began, the same.
    expect(await beginAt(port)).toBe('unavailable');
  });

  it('is accepted when it completes in that time', async () => {
    const closing = new AbortController();
    const port = await receiver(closing.signal, { silence: 60_000, grace: 60_000 });
    closing.abort();
    const response = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: 'abc' });
    expect(await response.text()).toBe('taken');
  });

  it('is cut off when its client keeps sending after the response', async () => {
    const app = new Koa();
    app.use(unreadBody(150));
    app.use((ctx) => {
      ctx.status = 401;
    });
    // Nothing else may end an idle connection.
    const port = await listen(createServer({ keepAliveTimeout: 0 }, app.callback()));
    const socket = createConnection(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000000\r\n\r\nabc');
    await once(socket, 'data');
    await once(socket, 'close');
  });
});

describe('damaged bytes in the store', () => {
  let api: TestApi;
  let org: Org;
  let person: TestWorker;
  let taskId: string;
  beforeAll(async () => {
    api = await startApi({ processors: true });
    org = await createOrg(api);
    const staged = await createTaskIn(api, org, 'started');
    person = staged.person;
    taskId = staged.task.task_id;
  });
  afterAll(() => api?.close());

  async function handIn(bytes: number) {
    const got = await upload(person.client, taskId, randomBytes(bytes));
    const { evidence_id } = got.json<EvidenceView>();
    return {
      file: join(api.evidence, org.org_id, taskId, evidence_id),
      path: `/v1/tasks/${taskId}/evidence/${evidence_id}`,
    };
  }

  it.each([
    ['that are gone', unlink],
    ['that were altered', (file: string) => writeFile(file, randomBytes(100))],
    ['that were cut', (file: string) => truncate(file, 50)],
  ])('%s: are answered 503 without content', async (_, harm) => {
    const { file, path } = await handIn(100);
    await harm(file);
    const got = await send(org.client, path, { method: 'GET' });
    expect(got.outcome).toBe('503 unavailable');
    expect(got.headers['content-disposition']).toBeUndefined();
    expect(got.headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  it('far into a large file cut the response off', async () => {
    const { file, path } = await handIn(2 * MiB);
    await writeFile(file, randomBytes(2 * MiB));
    await expect(send(org.client, path, { method: 'GET' })).rejects.toThrow(/aborted/);
  });

  it('are not caused by a client that aborts a download', async () => {
    const { path } = await handIn(5 * MiB);
    const { hostname, port } = new URL(api.url);
    const headers = { Authorization: `Bearer ${org.client.credential}` };
    const request = httpRequest({ hostname, port, path, agent: false, headers }).end();
    const [response] = await once(request, 'response');
    await once(response, 'readable');
    request.destroy();
    expect((await send(org.client, path, { method: 'GET' })).body).toHaveLength(5 * MiB);
  });
});

describe('a web process that is killed', () => {
  let child: ChildProcess | undefined;
  afterEach(() => {
    child?.kill('SIGKILL');
  });

  it('during an upload leaves nothing of it', async () => {
    const db = await openTestDb('bl');
    const orgId = freshOrg(db);
    const worker = await addWorker(db, orgId);
    const { worker_id } = worker;
    const task = await accept(db, await offerTo(db, await addTask(db, orgId), [worker_id]), worker_id);
    const token = newCredential('blw_', orgId);
    await commit(db.redis, { guards: [], writes: workerTokenWrites(db, worker, ['*'], token.hash).writes });

    const store = join(folder, 'killed');
    child = spawn(process.execPath, ['dist/src/web.js'], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        PATH: process.env.PATH,
        REDIS_URL: testRedisUrl(),
        SECRETS_KEY: randomBytes(32).toString('base64'),
        EVIDENCE_STORE: store,
        PORT: '0',
        LOG_LEVEL: 'error',
      },
    });
    const { stdout } = child;
    if (stdout === null) throw new Error('a child without output');
    const [line] = await once(createInterface(stdout), 'line');
    const { port } = JSON.parse(String(line)) as { port: number };

    const headers = { Authorization: `Bearer ${token.text}`, 'Content-Type': 'application/pdf' };
    const path = uploadPath(task.task_id);
    const request = httpRequest({ host: '127.0.0.1', port, path, method: 'POST', agent: false, headers });
    const failed = once(request, 'error').catch((error) => [error]);
    for (const piece of randomChunks(4 * MiB)) if (!request.write(piece)) await once(request, 'drain');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await failed;
    request.destroy();

    expect(await filesIn(store)).toEqual([]);
    const keys = orgKeysOf(db.prefix, orgId);
    expect(await db.redis.exists(keys.evidence(task.task_id))).toBe(0);
    const orphanedFiles = await db.redis.zrange(keys.orphanedFiles, '0', '-1');
    expect(orphanedFiles.filter((one) => one.startsWith(orgId))).toEqual([]);
  });
});
