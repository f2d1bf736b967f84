// Archived tasks through the API: they look as they did before, in every response that shows them, are changed like others, and are
// purged in time.
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Retention } from '../../../../src/processors/retention.ts';
import { openEvidenceFiles } from '../../../../src/store/evidence/files.ts';
import { sweepEvidence } from '../../../../src/store/maintenance/evidence-sweep.ts';
import { createSealer } from '../../../../src/store/redis/sealing.ts';
import { type Receiver, startReceiver } from '../../../e2e/receiver.ts';
import {
  createKey,
  createOrg,
  createPool,
  type Org,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { ARCHIVED_IN, archivedIds, DAY, keysAbout, runArchiver } from '../../../support/archive.ts';
import { runCommand } from '../../../support/cli.ts';
import { ERRORS_ONLY, withClockAhead } from '../../../support/processors.ts';
import { filesIn, upload } from '../../../support/uploads.ts';
import { createTestWorker, type TestWorker, taskBody } from '../../../support/workers.ts';

const sealer = createSealer([randomBytes(32)]);
let api: TestApi;
let receiver: Receiver;
let org: Org;
let person: TestWorker;
/** A completed task with everything, one with copies, a cancelled one of a pool, and one that is open. */
let full: TaskView;
let copied: TaskView;
let cancelled: TaskView;
let open: TaskView;

async function archive(ahead?: number): Promise<void> {
  const files = await openEvidenceFiles(api.evidence);
  await runArchiver({ db: api.web.db, files, sealer }, ahead);
}

/** Every response that shows a task. */
async function shown(id: string): Promise<unknown> {
  const path = `/v1/tasks/${id}`;
  const { data: files } = await org.client.get<{ data: { evidence_id: string }[] }>(`${path}/evidence`);
  const answers = await Promise.all(
    [path, `${path}/events`, `${path}/deliveries`, `${path}/evidence`, `${path}/messages`].map((one) =>
      org.client.request('GET', one),
    ),
  );
  const downloads = await Promise.all(
    files.map(({ evidence_id }) => org.client.request('GET', `${path}/evidence/${evidence_id}`)),
  );
  return [...answers, ...downloads].map(({ status, text, headers }) => [status, text, headers.get('etag')]);
}

async function listed(query: string, client = org.client): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Page<TaskView> = await client.get(`/v1/tasks?${query}${cursor && `&cursor=${cursor}`}`);
    found.push(...page.data.map((one) => one.task_id));
    cursor = page.next_cursor;
  }
  return found;
}

/** The histories in an audit export, without their signatures, which are different in every export. */
async function exported(): Promise<string[]> {
  const { text } = await org.client.request('GET', '/v1/audit/export');
  const lines = text.split('\n').filter((line) => line.includes('"chain":"task/'));
  return lines.map((line) => line.replace(/"signature":"[^"]*"/, ''));
}

/** The status of every delivery. */
async function statuses(): Promise<string[]> {
  const lists = await Promise.all(
    [full, copied, cancelled].map(({ task_id }) =>
      org.client.get<Page<{ status: string }>>(`/v1/tasks/${task_id}/deliveries`),
    ),
  );
  return lists.flatMap(({ data }) => data.map((one) => one.status));
}

beforeAll(async () => {
  receiver = await startReceiver();
  api = await startApi({ sealer, processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
  org = await createOrg(api);
  await org.client.post('/v1/webhook-endpoints', { url: receiver.url, events: ['task.completed'] });
  const pool = await createPool(org.client);
  const fields = { pool_ids: [pool] };
  person = await createTestWorker(api, org.client, fields);
  const callback_auth = { type: 'bearer', token: 'planted-token' };
  const events = ['task.completed', 'task.cancelled'];
  const handoff = { callback_url: receiver.url, callback_auth, events };
  const requirements = { worker_pool_id: pool };
  full = await org.client.post<TaskView>('/v1/tasks', taskBody({ handoff, requirements }));
  await person.accept(full.task_id);
  await person.start(full.task_id);
  await org.client.post(`/v1/tasks/${full.task_id}/messages`, { text: 'Look twice.' });
  await upload(person.client, full.task_id, randomBytes(2000));
  await person.submit(full.task_id);
  await org.client.get(`/v1/tasks/${full.task_id}?wait=20`);
  const second = await createTestWorker(api, org.client, fields);
  const output = {
    expected_format: 'structured_json',
    schema: { seen: 'boolean' },
    copies: { count: 2, agreement: { mode: 'unanimous' } },
  };
  copied = await org.client.post<TaskView>('/v1/tasks', taskBody({ requirements, output }));
  for (const one of [person, second]) {
    const { data } = await vi.waitFor(async () => {
      const found = await one.client.get<Page<{ task_id: string; offer_id: string }>>('/v1/worker/offers');
      if (found.data.length === 0) throw new Error('no offer');
      return found;
    });
    const [offer] = data;
    await one.client.post(`/v1/worker/offers/${offer?.offer_id}/accept`);
    await one.start(offer?.task_id ?? '');
    await upload(one.client, offer?.task_id ?? '', randomBytes(100));
    await one.submit(offer?.task_id ?? '');
  }
  await org.client.get(`/v1/tasks/${copied.task_id}?wait=20`);
  open = await org.client.post<TaskView>('/v1/tasks', taskBody());
  cancelled = await org.client.post<TaskView>('/v1/tasks', taskBody({ handoff }));
  await org.client.post(`/v1/tasks/${cancelled.task_id}/cancel`);
  // Endpoint and callback of the one, endpoint of the other, callback of the cancelled one.
  await vi.waitFor(() => expect(receiver.received).toHaveLength(4), { timeout: 20_000 });
  await vi.waitFor(async () => expect(await statuses()).toEqual(Array(4).fill('succeeded')));
}, 60_000);
afterAll(async () => {
  await api.close();
  await receiver.close();
});

describe('an archived task', () => {
  let before: unknown;
  let export_: string[];

  it('looks as before, and is in Redis no longer', async () => {
    const all = [full, copied, cancelled].map((one) => one.task_id);
    const lists = async () => [
      await listed('limit=2'),
      await listed('limit=1&order=asc&status=completed,cancelled'),
      await listed(`request_id=${full.origin.request_id}`),
      await listed(`created_before=${copied.created_at}`),
      await listed(`created_after=${full.created_at}&limit=3`),
    ];
    const shownAll = async () => Promise.all(all.map((id) => shown(id)));
    before = await shownAll();
    // An export leaves out the last two seconds.
    const heads = async () => (await exported()).filter((line) => line.includes('"kind":"head"')).length;
    await expect.poll(heads, { timeout: 10_000 }).toBe(4);
    export_ = await exported();
    const listsBefore = await lists();
    expect(listsBefore[0]).toHaveLength(4);
    await archive(ARCHIVED_IN - 10 * DAY);
    expect(await archivedIds(api.web.db, org.org_id)).toEqual([]);
    await archive();
    const copies = 2;
    expect(await archivedIds(api.web.db, org.org_id)).toHaveLength(all.length + copies);
    for (const id of all) expect(await keysAbout(api.web.db, org.org_id, id)).toEqual(['index:archived']);
    expect(await keysAbout(api.web.db, org.org_id, open.task_id)).toContain('index:all');
    expect(await shownAll()).toEqual(before);
    expect(await lists()).toEqual(listsBefore);
    expect(await exported()).toEqual(export_);
    const whole = join(api.evidence, 'export.ndjson');
    await writeFile(whole, (await org.client.request('GET', '/v1/audit/export')).text);
    const keys = join(api.evidence, 'keys.json');
    const set = await api.client(null).request('GET', '/.well-known/biolayer-audit-keys.json');
    await writeFile(keys, set.text);
    const verified = await runCommand(['audit', 'verify', whole, '--keys', keys], { env: {} });
    expect(verified).toMatchObject({ code: 0 });
    await Promise.all([whole, keys].map((one) => rm(one)));
  });

  it('is a 404 for keys of other pools and other orgs', async () => {
    const other = await createOrg(api);
    const pool = await createPool(org.client);
    const key = await createKey(api, org.client, { pools: [pool] });
    const path = `/v1/tasks/${full.task_id}`;
    expect((await other.client.request('GET', path)).outcome).toBe('404 not_found');
    expect((await key.request('GET', path)).outcome).toBe('404 not_found');
    expect(await listed('', key)).toEqual([]);
  });

  it('refuses what a finished task refuses, and stays', async () => {
    const refused = await org.client.request('POST', `/v1/tasks/${full.task_id}/cancel`);
    expect(refused.outcome).toBe('409 task_not_cancellable');
    expect(await archivedIds(api.web.db, org.org_id)).toContain(full.task_id);
  });

  it('excludes its worker from tasks that exclude it', async () => {
    const pool = (full as { requirements?: { worker_pool_id: string } }).requirements?.worker_pool_id;
    const requirements = { worker_pool_id: pool, excluded_tasks: [full.task_id] };
    const task = await org.client.post<TaskView>('/v1/tasks', taskBody({ requirements }));
    await expect
      .poll(async () => (await org.client.get<TaskView>(`/v1/tasks/${task.task_id}`)).status, {
        timeout: 10_000,
      })
      .toBe('offered');
    const offers = await person.client.get<Page<{ task_id: string }>>('/v1/worker/offers');
    expect(offers.data).toEqual([]);
    await org.client.post(`/v1/tasks/${task.task_id}/cancel`);
  });

  it('comes back when a delivery of it is sent again, with its credentials', async () => {
    const path = `/v1/tasks/${full.task_id}/deliveries`;
    const { data } = await org.client.get<Page<{ delivery_id: string; endpoint_id: string | null }>>(path);
    expect(data).toHaveLength(2);
    const sent = receiver.received.length;
    for (const one of data) await org.client.post(`/v1/deliveries/${one.delivery_id}/redeliver`);
    await expect.poll(() => receiver.received.length, { timeout: 10_000 }).toBe(sent + 2);
    const again = receiver.received.slice(sent).map((one) => one.headers.authorization);
    expect(again).toContain('Bearer planted-token');
    expect(await archivedIds(api.web.db, org.org_id)).not.toContain(full.task_id);
    expect(await keysAbout(api.web.db, org.org_id, full.task_id)).toContain('index:status:completed');
    await expect
      .poll(async () => (await org.client.get<Page<{ status: string }>>(path)).data.map((one) => one.status))
      .toEqual(['succeeded', 'succeeded']);
    await archive();
    expect(await archivedIds(api.web.db, org.org_id)).toContain(full.task_id);
  });

  it('is purged in time, and its files with it', async () => {
    const later = withClockAhead(api.web.db, 366 * DAY);
    const purge = () => new Retention({ db: later, log: ERRORS_ONLY }).run();
    expect(await purge()).toMatchObject({ tasks: 0 });
    const files = await openEvidenceFiles(api.evidence);
    expect((await filesIn(api.evidence)).filter((one) => one.includes('/archive/')).length).toBeGreaterThan(
      1,
    );
    // As soon as it may be in Redis again, before it is purged.
    await archive(365 * DAY - 1800_000);
    expect(await archivedIds(api.web.db, org.org_id)).toEqual([]);
    const path = `/v1/tasks/${full.task_id}`;
    expect((await org.client.request('GET', path)).status).toBe(200);
    expect(await purge()).toMatchObject({ tasks: 4 });
    await sweepEvidence(api.web.db, files);
    expect((await org.client.request('GET', path)).status).toBe(404);
    expect(await filesIn(api.evidence)).toEqual([]);
    expect(await listed('')).toEqual([open.task_id]);
    const usage = await org.client.get<{ usage: { evidence_bytes: { used: number } } }>('/v1/org');
    expect(usage.usage.evidence_bytes.used).toBe(0);
  });
});
