// `tasks watch`: every event once, until the task is final, also during an outage of the API.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startWeb } from '../../src/runtime/start-web.ts';
import { createSealer } from '../../src/store/redis/sealing.ts';
import { startApiOfFile } from '../support/api.ts';
import { startCli } from '../support/cli.ts';
import { testTopology } from '../support/redis.ts';
import { createTestWorker, OUTPUT, taskBody } from '../support/workers.ts';

const PATIENT = { timeout: 20_000 };

const { api, org } = await startApiOfFile({ processors: true });

async function createTask(): Promise<string> {
  const { task_id } = await org.client.post<{ task_id: string }>(
    '/v1/tasks',
    taskBody({ requirements: { skills: ['watched'] } }),
  );
  return task_id;
}

function watch(taskId: string, url = api.url, ...flags: string[]) {
  const env = { BIOLAYER_URL: url, BIOLAYER_API_KEY: org.client.credential ?? '' };
  return startCli(['tasks', 'watch', taskId, ...flags], { env });
}

/** The lines of events without their times. */
function eventsIn(stdout: string): string[] {
  return stdout.split('\n').map((line) =>
    line
      .replace(/ {2}\d{4}-\S+ /, '')
      .replace(/ {2,}/g, ' ')
      .trim(),
  );
}

describe('tasks watch', () => {
  it('prints each event as it happens, and the final status', async () => {
    const taskId = await createTask();
    const { ran, done } = watch(taskId);
    await vi.waitFor(
      () => expect(eventsIn(ran.stdout)).toEqual(['1 task.created by api_key', '2 task.queued created', '']),
      PATIENT,
    );
    const person = await createTestWorker(api, org.client, { skills: ['watched'] });
    await person.accept(taskId);
    await vi.waitFor(() => expect(ran.stdout).toContain('task.accepted'), PATIENT);
    await person.start(taskId);
    await person.submit(taskId, OUTPUT);
    expect(await done).toMatchObject({ code: 0, stderr: '' });
    const { worker_id } = person;
    expect(eventsIn(ran.stdout)).toEqual([
      '1 task.created by api_key',
      '2 task.queued created',
      `3 task.matched ${worker_id}`,
      `4 task.offered ${worker_id}`,
      `5 task.accepted ${worker_id}`,
      `6 task.started ${worker_id}`,
      `7 task.submitted ${worker_id}`,
      '8 task.verified auto',
      '9 task.completed {"seen":true}',
      'The task is completed.',
      '',
    ]);
    await org.client.delete(`/v1/workers/${worker_id}`);
  });

  it('prints one JSON document, the final task with its events', async () => {
    const taskId = await createTask();
    const { ran, done } = watch(taskId, api.url, '--json');
    await org.client.post(`/v1/tasks/${taskId}/cancel`, { reason: 'enough' });
    expect(await done).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ran.stdout)).toMatchObject({
      task_id: taskId,
      status: 'cancelled',
      events: [{ type: 'task.created' }, { type: 'task.queued' }, { type: 'task.cancelled' }],
    });
  });

  it('continues when the API is available again', async () => {
    const evidenceStore = await mkdtemp(join(tmpdir(), 'biolayer-cli-'));
    const start = (port: number) =>
      startWeb({
        ...{ redis: testTopology(), prefix: api.prefix, host: '127.0.0.1', port, evidenceStore, lingerMs: 0 },
        ...{ sealer: createSealer([randomBytes(32)]), operatorToken: undefined, webhookAllowedNetworks: [] },
        log: pino({ level: 'error' }),
      });
    const before = await start(0);
    const taskId = await createTask();
    const { ran, done } = watch(taskId, before.url);
    await vi.waitFor(() => expect(ran.stdout).toContain('task.queued'), PATIENT);
    await before.close();
    await vi.waitFor(() => expect(ran.stderr).toMatch(/could not be reached: .*; trying again\n$/), PATIENT);
    await org.client.post(`/v1/tasks/${taskId}/cancel`);
    const after = await start(before.port);
    onTestFinished(async () => {
      await after.close();
      await rm(evidenceStore, { recursive: true });
    });
    expect(await done).toMatchObject({ code: 0 });
    expect(eventsIn(ran.stdout)).toEqual([
      '1 task.created by api_key',
      '2 task.queued created',
      '3 task.cancelled by api_key',
      'The task is cancelled.',
      '',
    ]);
  });

  it('exits with 1 when the task does not exist', async () => {
    const { done } = watch('01890a5d-ac96-774b-bcce-b302099a8057');
    expect(await done).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^not_found/) });
  });
});
