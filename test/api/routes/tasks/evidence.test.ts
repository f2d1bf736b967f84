// Evidence: a worker uploads a file, every key that may read the task downloads the same bytes, the file is hidden from
// all others, and a task that requires evidence cannot be submitted without it.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type Org,
  type Page,
  startApi,
  type TestApi,
} from '../../../support/api.ts';
import {
  type EvidenceView,
  expectOnlyFiles,
  filePart,
  send,
  sha256,
  upload,
  uploadPath,
} from '../../../support/uploads.ts';
import {
  createTaskIn,
  createTestWorker,
  OUTPUT,
  type TaskInStatus,
  type TestWorker,
} from '../../../support/workers.ts';

let api: TestApi;
let org: Org;
let started: TaskInStatus;
beforeAll(async () => {
  api = await startApi({ processors: true });
  org = await createOrg(api);
  started = await createTaskIn(api, org, 'started');
});
afterAll(() => api?.close());

/** Uploads a small file and expects it to be accepted. */
async function handIn(person: TestWorker, taskId: string, body = randomBytes(100), name = 'a.pdf') {
  const got = await upload(person.client, taskId, body, {}, name);
  expect(got.outcome).toBe('201');
  return got.json<EvidenceView>();
}

function download(client: Client, taskId: string, evidenceId: string, method = 'GET') {
  return send(client, `/v1/tasks/${taskId}/evidence/${evidenceId}`, { method });
}

describe('a file', () => {
  it('sent raw is returned byte for byte', async () => {
    const { task, person } = started;
    const bytes = randomBytes(300_000);
    const got = await upload(
      person.client,
      task.task_id,
      bytes,
      { 'Content-Type': 'Image/PNG; q=1' },
      'é €.png',
    );
    expect(got.status).toBe(201);
    const evidence = got.json<EvidenceView>();
    expect(evidence).toEqual({
      evidence_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'é €.png',
      media_type: 'image/png',
      bytes: bytes.length,
      sha256: sha256(bytes),
    });

    const back = await download(org.client, task.task_id, evidence.evidence_id);
    expect(back.status).toBe(200);
    expect(back.body.equals(bytes)).toBe(true);
    expect(back.headers).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(bytes.length),
      'content-disposition': `attachment; filename="? ?.png"; filename*=UTF-8''%C3%A9%20%E2%82%AC.png`,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'repr-digest': `sha-256=:${Buffer.from(evidence.sha256, 'hex').toString('base64')}:`,
    });
    expect(back.headers['content-security-policy']).toMatch(/(^|; )sandbox(;|$)/);
    expect(back.headers['content-security-policy']).toContain("default-src 'none'");
  });

  it('sent as a form is returned byte for byte', async () => {
    const { task, person } = started;
    // Contains text that resembles the boundary, and ends with a line break.
    const bytes = Buffer.concat([
      randomBytes(70_000),
      Buffer.from('\r\n------7e2\r\n--'),
      Buffer.from('\r\n'),
    ]);
    const data = new FormData();
    data.set('file', new Blob([bytes], { type: 'text/html' }), 'Bericht "1".html');
    const response = await fetch(api.url + uploadPath(task.task_id), {
      method: 'POST',
      body: data,
      headers: { Authorization: `Bearer ${person.client.credential}` },
    });
    expect(response.status).toBe(201);
    const evidence = (await response.json()) as EvidenceView;
    expect(evidence).toMatchObject({ media_type: 'text/html', bytes: bytes.length, sha256: sha256(bytes) });
    const back = await download(org.client, task.task_id, evidence.evidence_id);
    expect(back.body.equals(bytes)).toBe(true);
    expect(back.headers['content-disposition']).toMatch(/^attachment; filename="/);
  });

  it('is described by HEAD without its bytes', async () => {
    const { task, person } = started;
    const { evidence_id } = await handIn(person, task.task_id);
    const head = await download(org.client, task.task_id, evidence_id, 'HEAD');
    expect(head.status).toBe(200);
    expect(head.headers['content-length']).toBe('100');
    expect(head.body).toHaveLength(0);
  });

  it('is listed for its worker and for readers of the task', async () => {
    const { task, person } = await createTaskIn(api, org, 'accepted');
    const first = await handIn(person, task.task_id, randomBytes(1), 'first.txt');
    const second = await handIn(person, task.task_id, randomBytes(2), 'second.txt');
    const listed = [first, second].map((one) => ({
      ...one,
      worker_id: person.worker_id,
      uploaded_at: expect.stringMatching(/Z$/),
    }));
    const mine = await person.client.get<Page<EvidenceView>>(uploadPath(task.task_id));
    expect(mine).toEqual({ data: listed, has_more: false, next_cursor: null });
    const all = await org.client.get<Page<EvidenceView>>(`/v1/tasks/${task.task_id}/evidence`);
    expect(all.data).toEqual(listed);
    await expectOnlyFiles(api, org.org_id, task.task_id, [first.evidence_id, second.evidence_id]);
  });
});

describe('a task accepts files', () => {
  it.each(['submitted', 'completed', 'failed'] as const)('not when it is %s', async (status) => {
    const { task, person } = await createTaskIn(api, org, status);
    expect((await upload(person.client, task.task_id, randomBytes(10))).outcome).toBe(
      '409 invalid_transition',
    );
    await expectOnlyFiles(api, org.org_id, task.task_id, []);
  });

  it('not before it is accepted', async () => {
    const { task, person } = await createTaskIn(api, org, 'offered');
    expect((await upload(person.client, task.task_id, randomBytes(10))).outcome).toBe('404 not_found');
  });

  it('only at the version in If-Match', async () => {
    const { task, person } = started;
    const stale = { 'If-Match': `"${task.version - 1}"` };
    const { outcome } = await upload(person.client, task.task_id, randomBytes(10), stale);
    expect(outcome).toBe('412 version_mismatch');
    const now = { 'If-Match': `"${task.version}"` };
    expect((await upload(person.client, task.task_id, randomBytes(10), now)).outcome).toBe('201');
  });

  it('up to fifty, also when more arrive at once', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    const all = await Promise.all(
      Array.from({ length: 56 }, () => upload(person.client, task.task_id, randomBytes(10))),
    );
    const taken = all.filter((one) => one.status === 201);
    expect(taken).toHaveLength(50);
    expect(new Set(all.map((one) => one.outcome))).toEqual(new Set(['201', '409 conflict']));
    const ids = taken.map((one) => one.json<EvidenceView>().evidence_id);
    await expectOnlyFiles(api, org.org_id, task.task_id, ids);
  });
});

describe('another worker or org', () => {
  it('cannot add files to a task or see its files', async () => {
    const { task } = started;
    const other = await createTestWorker(api, org.client, { availability: 'away' });
    const foreign = await createOrg(api);
    const stranger = await createTestWorker(api, foreign.client, { availability: 'away' });
    for (const { client } of [other, stranger]) {
      expect((await upload(client, task.task_id, randomBytes(10))).outcome).toBe('404 not_found');
      expect((await client.request('GET', uploadPath(task.task_id))).outcome).toBe('404 not_found');
    }
    const key = await upload(org.client, task.task_id, randomBytes(10));
    expect(key.outcome).toBe('403 insufficient_scope');
  });

  it('gets the same 404 as for a file that does not exist', async () => {
    const { task, person, poolId } = started;
    const { evidence_id } = await handIn(person, task.task_id);
    const foreign = await createOrg(api);
    const confined = await createKey(api, org.client, { pools: [poolId] });
    const elsewhere = await createKey(api, org.client, { pools: [await createPool(org.client)] });
    const unable = await createKey(api, org.client, { scopes: ['tasks:create'] });
    const never = '018f0000-0000-7000-8000-00000000dead';

    expect((await download(confined, task.task_id, evidence_id)).status).toBe(200);
    const { request_id: _, ...unknown } = (await download(org.client, task.task_id, never)).problem;
    expect(unknown.status).toBe(404);
    for (const client of [elsewhere, foreign.client]) {
      const { request_id: _, ...body } = (await download(client, task.task_id, evidence_id)).problem;
      expect(body).toEqual(unknown);
      const list = await client.request('GET', `/v1/tasks/${task.task_id}/evidence`);
      expect(list.outcome).toBe('404 not_found');
    }
    expect((await download(unable, task.task_id, evidence_id)).outcome).toBe('403 insufficient_scope');
    expect((await download(person.client, task.task_id, evidence_id)).outcome).toBe('403 insufficient_scope');
    expect((await download(org.client, task.task_id, 'no-id')).outcome).toBe('404 not_found');
    const sister = await createTaskIn(api, org, 'started');
    expect((await download(org.client, sister.task.task_id, evidence_id)).outcome).toBe('404 not_found');
  });
});

describe('a submission', () => {
  const output = {
    expected_format: 'structured_json',
    schema: { seen: 'boolean' },
    evidence_required: true,
    review: { mode: 'auto' },
  };

  function submit(person: TestWorker, taskId: string, more: Record<string, unknown> = {}) {
    return person.client.request('POST', `/v1/worker/tasks/${taskId}/submit`, {
      body: { output: OUTPUT, ...more },
    });
  }

  it('without required evidence is refused, and the result lists the evidence', async () => {
    const { task, person } = await createTaskIn(api, org, 'started', { output });
    for (const more of [{}, { evidence_ids: [] }]) {
      const refused = await submit(person, task.task_id, more);
      expect(refused.outcome).toBe('422 validation_failed');
      expect(refused.problem.errors?.map((one) => one.pointer)).toEqual(['/evidence_ids']);
    }
    const first = await handIn(person, task.task_id);
    const second = await handIn(person, task.task_id);
    expect((await submit(person, task.task_id)).status).toBe(200);
    const done = await org.client.get<{ status: string; result: { evidence: unknown } }>(
      `/v1/tasks/${task.task_id}?wait=20`,
    );
    expect(done.status).toBe('completed');
    expect(done.result.evidence).toEqual([first, second]);
    expect((await download(org.client, task.task_id, first.evidence_id)).status).toBe(200);
  });

  it('has exactly the files that it names, in its order', async () => {
    const { task, person } = await createTaskIn(api, org, 'started', { output });
    const made = [];
    for (let count = 0; count < 3; count += 1) made.push(await handIn(person, task.task_id));
    const [first, , third] = made;
    const strange = await handIn(started.person, started.task.task_id);
    const refused = await submit(person, task.task_id, {
      output: { seen: 'no' },
      evidence_ids: [first?.evidence_id, strange.evidence_id],
    });
    expect(refused.outcome).toBe('422 validation_failed');
    expect(refused.problem.errors?.map((one) => one.pointer)).toEqual(['/output/seen', '/evidence_ids/1']);
    const evidence_ids = [third?.evidence_id, first?.evidence_id];
    expect((await submit(person, task.task_id, { evidence_ids })).status).toBe(200);
    const done = await org.client.get<{ result: { evidence: unknown } }>(`/v1/tasks/${task.task_id}?wait=20`);
    expect(done.result.evidence).toEqual([third, first]);
  });

  it('of the next worker cannot use files of the previous worker', async () => {
    const { task, person, poolId } = await createTaskIn(api, org, 'started', { output });
    const before = await handIn(person, task.task_id);
    await person.client.post(`/v1/worker/tasks/${task.task_id}/release`);
    expect((await upload(person.client, task.task_id, randomBytes(10))).outcome).toBe('404 not_found');
    await person.client.patch('/v1/worker', { availability: 'offline' });
    const next = await createTestWorker(api, org.client, { pool_ids: [poolId] });
    await next.accept(task.task_id);
    await next.start(task.task_id);

    expect((await next.client.get<Page<unknown>>(uploadPath(task.task_id))).data).toEqual([]);
    for (const [more, pointer] of [
      [{}, '/evidence_ids'],
      [{ evidence_ids: [before.evidence_id] }, '/evidence_ids/0'],
    ] as const)
      expect((await submit(next, task.task_id, more)).problem.errors?.[0]?.pointer).toBe(pointer);
    const own = await handIn(next, task.task_id);
    expect((await submit(next, task.task_id)).status).toBe(200);
    const done = await org.client.get<{ result: { evidence: unknown } }>(`/v1/tasks/${task.task_id}?wait=20`);
    expect(done.result.evidence).toEqual([own]);
  });
});

describe('an Idempotency-Key', () => {
  it('stores the same bytes once, and refuses other bytes', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    const bytes = randomBytes(1000);
    const key = { 'Idempotency-Key': 'once' };
    const first = await upload(person.client, task.task_id, bytes, key, 'a.pdf');
    const again = await upload(person.client, task.task_id, bytes, key, 'a.pdf');
    const renamed = await upload(person.client, task.task_id, bytes, key, 'b.pdf');
    const other = await upload(person.client, task.task_id, randomBytes(1000), key, 'a.pdf');
    // A form with the same file is the same request.
    const headers = { 'Content-Type': 'multipart/form-data; boundary=x', ...key };
    const part = `--x\r\n${filePart(bytes).head}\r\n\r\n`;
    const body = Buffer.concat([Buffer.from(part), bytes, Buffer.from('\r\n--x--')]);
    const asForm = await send(person.client, uploadPath(task.task_id), { headers, body });
    expect([first, again, renamed, other, asForm].map((one) => one.outcome)).toEqual([
      '201',
      '201',
      '422 idempotency_key_reused',
      '422 idempotency_key_reused',
      '201',
    ]);
    expect(again.body).toEqual(first.body);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(asForm.body).toEqual(first.body);
    await expectOnlyFiles(api, org.org_id, task.task_id, [first.json<EvidenceView>().evidence_id]);
  });

  it('can be used again after a refusal', async () => {
    const { task, person } = await createTaskIn(api, org, 'started');
    const key = { 'Idempotency-Key': 'again' };
    expect((await upload(person.client, task.task_id, Buffer.alloc(0), key)).outcome).toBe(
      '422 validation_failed',
    );
    expect((await upload(person.client, task.task_id, randomBytes(9), key)).outcome).toBe('201');
  });
});

describe('OpenAPI', () => {
  it('describes a form and bytes as input, and bytes as output', async () => {
    const response = await fetch(`${api.url}/openapi.json`);
    const { paths } = (await response.json()) as {
      paths: Record<
        string,
        Record<string, { requestBody?: { content: object }; responses: Record<string, { content: object }> }>
      >;
    };
    const into = paths['/v1/worker/tasks/{task_id}/evidence']?.post?.requestBody?.content ?? {};
    expect(Object.keys(into)).toEqual(['multipart/form-data', 'application/octet-stream']);
    const out = paths['/v1/tasks/{task_id}/evidence/{evidence_id}']?.get?.responses['200']?.content ?? {};
    expect(Object.keys(out)).toEqual(['*/*']);
  });
});
