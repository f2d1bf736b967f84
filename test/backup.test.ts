// deploy/backup on a real Redis with a password: what is restored works, and what came after the backup is gone.
import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createSealer } from '../src/store/redis/sealing.ts';
import { createOrg, startApi, type TaskView } from './support/api.ts';
import { startCallbackReceiver } from './support/callback-receiver.ts';
import { type OwnRedis, startOwnRedis } from './support/own-redis.ts';
import { createTaskIn, OUTPUT, taskBody } from './support/workers.ts';

const SOON = { timeout: 20_000 };
const SCRIPTS = fileURLToPath(new URL('../deploy/backup', import.meta.url));
const run = promisify(execFile);

/** Runs a script; resolves with what it prints. */
async function script(name: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await run(join(SCRIPTS, name), args, { env: { ...process.env, ...env } });
  return stdout.trim();
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'biolayer-backup-'));
  return () => rm(folder, { recursive: true, force: true });
});

/** A user whose password has characters that a URL escapes. */
async function withUser(redis: OwnRedis): Promise<string> {
  const url = new URL(redis.url);
  await run('redis-cli', [
    '-p',
    url.port,
    'ACL',
    'SETUSER',
    'backup',
    'on',
    '>p@ss/1:%',
    '+sync',
    '+replconf',
  ]);
  return `redis://backup:${encodeURIComponent('p@ss/1:%')}@${url.host}/0`;
}

test('a backup is restored: tasks, evidence and retries go on, and what came later is gone', {
  timeout: 90_000,
}, async () => {
  const sealer = createSealer([Buffer.alloc(32, 5)]);
  const first = await startOwnRedis();
  onTestFinished(() => first.stop());
  const common = { sealer, prefix: 'bl', processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] };
  const api = await startApi({ ...common, redisUrl: first.url });
  const org = await createOrg(api);
  let refuses = true;
  const receiver = await startCallbackReceiver((request) => ({
    status: refuses && request.type === 'task.created' ? 500 : 204,
  }));
  const handoff = { callback_url: receiver.url, retry_policy: { max_retries: 9, backoff_seconds: 1 } };
  const { task, person } = await createTaskIn(api, org, 'started', { handoff });
  const upload = { raw: new Uint8Array([1, 2, 3]), headers: { 'Content-Type': 'application/octet-stream' } };
  const added = await person.client.request(
    'POST',
    `/v1/worker/tasks/${task.task_id}/evidence?name=x.bin`,
    upload,
  );
  const { evidence_id } = added.as<{ evidence_id: string }>();
  // Settled before the backup: everything but task.created, which is refused.
  await expect.poll(() => new Set(receiver.received.map((one) => one.type)).size, SOON).toBe(6);
  const deliveries = `/v1/tasks/${task.task_id}/deliveries`;
  const pending = async () => {
    const { data } = await org.client.get<{ data: { status: string }[] }>(deliveries);
    return data.filter((one) => one.status === 'pending').length;
  };
  await expect.poll(pending, SOON).toBe(1);

  const backup = await script('backup', [folder, api.evidence], { REDIS_URL: await withUser(first) });
  expect(await readdir(backup)).toEqual(['SHA256SUMS', 'evidence.tar', 'redis.rdb']);

  const later = await org.client.post<TaskView>('/v1/tasks', taskBody());
  await person.submit(task.task_id, OUTPUT);
  const before = { tasks: [task.task_id, later.task_id], at: later.created_at };
  await api.close();
  refuses = false;
  const sentBefore = receiver.received.splice(0);

  const [data, evidence] = [join(folder, 'data'), join(folder, 'evidence')];
  await script('restore', [backup, data, evidence]);
  const second = await startOwnRedis({}, [['dir', data]]);
  onTestFinished(() => second.stop());
  const restored = await startApi({ ...common, redisUrl: second.url, web: { evidenceStore: evidence } });
  onTestFinished(() => restored.close());
  const client = restored.client(org.client.credential);

  // As it was at the backup; the submission is gone, and so is the task that was created later.
  expect((await client.get<TaskView>(`/v1/tasks/${task.task_id}`)).status).toBe('started');
  expect((await client.request('GET', `/v1/tasks/${later.task_id}`)).outcome).toBe('404 not_found');
  const file = await fetch(`${restored.url}/v1/tasks/${task.task_id}/evidence/${evidence_id}`, {
    headers: { authorization: `Bearer ${client.credential}` },
  });
  expect(new Uint8Array(await file.arrayBuffer())).toEqual(upload.raw);
  // Only what was pending is sent again, with the id that it had.
  await expect.poll(() => receiver.received.length, SOON).toBe(1);
  const [retried] = receiver.received;
  expect(sentBefore.filter((one) => one.id === retried?.id).map((one) => one.type)).toContain('task.created');

  // Work goes on, with new ids for what happens again, and with the time of now.
  const worker = restored.client(person.client.credential);
  await worker.post(`/v1/worker/tasks/${task.task_id}/submit`, { output: OUTPUT });
  const isSubmission = (one: { type: string }) => one.type === 'task.submitted';
  await expect.poll(() => receiver.received.filter(isSubmission).length, SOON).toBe(1);
  const [again] = receiver.received.filter(isSubmission);
  const lost = sentBefore.find(isSubmission);
  if (lost !== undefined) {
    expect(again?.id).not.toBe(lost.id);
    expect(again?.sequence).toBe(lost.sequence);
  }
  const created = await client.post<TaskView>('/v1/tasks', taskBody());
  expect(before.tasks).not.toContain(created.task_id);
  expect(created.created_at > before.at).toBe(true);
});

test('nothing is restored over data, nor from a backup that is damaged', { timeout: 30_000 }, async () => {
  const redis = await startOwnRedis();
  onTestFinished(() => redis.stop());
  const backup = await script('backup', [join(folder, 'others')], { REDIS_URL: redis.url });
  const target = join(folder, 'target');
  await expect(script('restore', [backup, folder])).rejects.toThrow(/is not empty/);
  await expect(script('restore', [backup, target, join(folder, 'files')])).rejects.toThrow(/has no evidence/);
  await appendFile(join(backup, 'redis.rdb'), 'x');
  await expect(script('restore', [backup, target])).rejects.toThrow(/is damaged/);
  await expect(script('restore', [folder, target])).rejects.toThrow(/is no complete backup/);
  await expect(readdir(target)).rejects.toThrow(/ENOENT/);
});

test('a backup that fails says why, and leaves none that looks complete', async () => {
  const others = join(folder, 'failed');
  const failing = script('backup', [others], { REDIS_URL: 'redis://127.0.0.1:1' });
  await expect(failing).rejects.toThrow(/Redis was not backed up: .*refused/i);
  expect((await readdir(others)).every((name) => name.endsWith('.part'))).toBe(true);
  const cluster = script('backup', [others], { REDIS_URL: 'redis+cluster://127.0.0.1:1' });
  await expect(cluster).rejects.toThrow(/single server/);
});
