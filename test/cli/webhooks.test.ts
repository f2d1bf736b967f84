// `biolayer webhooks` against a running API and a real receiver: endpoints, deliveries, replays.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createOrg, type Org, type Page, startApi, type TestApi } from '../support/api.ts';
import { isSigned, startCallbackReceiver } from '../support/callback-receiver.ts';
import { jsonOf, runCommand, type Settings } from '../support/cli.ts';
import { taskBody } from '../support/workers.ts';

const SOON = { timeout: 20_000 };

let api: TestApi;
let dir: string;

beforeAll(async () => {
  api = await startApi({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });
  dir = await mkdtemp(join(tmpdir(), 'biolayer-cli-'));
}, 30_000);
afterAll(async () => {
  await api.close();
  await rm(dir, { recursive: true });
});

interface Endpoint {
  endpoint_id: string;
  secret: string;
}
interface Delivery {
  delivery_id: string;
  status: string;
}

/** Creates an org and runs commands with its API key. */
async function setUp(): Promise<{
  org: Org;
  json: <T = Record<string, unknown>>(...args: string[]) => Promise<T>;
  run: (...args: string[]) => ReturnType<typeof runCommand>;
}> {
  const org = await createOrg(api);
  const settings: Settings = {
    env: { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: org.client.credential ?? '' },
  };
  return {
    org,
    json: (...args) => jsonOf(['webhooks', ...args], settings),
    run: (...args) => runCommand(['webhooks', ...args], settings),
  };
}

async function file(name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, text);
  return path;
}

it('creates, changes, shows, enables, tests and removes an endpoint', async () => {
  const { json, run } = await setUp();
  const receiver = await startCallbackReceiver();
  const own = `whsec_${Buffer.alloc(24, 3).toString('base64')}`;
  const made = await json<Endpoint>(
    ...['endpoints', 'create', receiver.url, '--event', 'task.completed,task.failed', '--max-retries', '2'],
    ...['--headers-file', await file('headers.json', '{"X-Team":"blue"}'), '--description', 'Desk'],
    ...['--secret-file', await file('secret', `${own}\n`), '--disabled'],
  );
  expect(made).toMatchObject({
    ...{ url: receiver.url, secret: own, enabled: false, header_names: ['X-Team'], description: 'Desk' },
    ...{ events: ['task.completed', 'task.failed'], retry_policy: { max_retries: 2, backoff_seconds: 30 } },
  });
  const { endpoint_id } = made;
  expect(await json('endpoints', 'enable', endpoint_id)).toMatchObject({ enabled: true });
  const { event_id } = await json('endpoints', 'test', endpoint_id);
  await expect.poll(() => receiver.received.length, SOON).toBe(1);
  const [request] = receiver.received;
  if (request === undefined) throw new Error('nothing came');
  expect([request.id, request.headers['x-team'], isSigned(own, request)]).toEqual([event_id, 'blue', true]);
  const rotated = await json<Endpoint>('endpoints', 'rotate-secret', endpoint_id, '--overlap', '60');
  expect(rotated.secret).not.toBe(own);
  const changed = await json(
    ...['endpoints', 'update', endpoint_id, '--receiver', 'https://receiver.example/', '--backoff', '5'],
  );
  expect(changed).toMatchObject({ url: 'https://receiver.example/', retry_policy: { backoff_seconds: 5 } });
  expect(await json('endpoints', 'get', endpoint_id)).toEqual(changed);
  expect(await json('endpoints', 'list')).toMatchObject({ data: [{ endpoint_id }], has_more: false });
  const shown = await run('endpoints', 'get', endpoint_id);
  expect(shown.stdout).toMatch(/^events +task\.completed, task\.failed$/m);
  expect(await json('endpoints', 'disable', endpoint_id)).toMatchObject({ disabled: { reason: 'manual' } });
  expect(await json('endpoints', 'delete', endpoint_id)).toEqual({ endpoint_id, deleted: true });
  expect(await run('endpoints', 'get', endpoint_id)).toMatchObject({ code: 1, stdout: '' });
  expect(await run('endpoints', 'create', 'https://10.0.0.1/')).toMatchObject({ code: 1 });
});

it('lists, repeats and replays deliveries', async () => {
  const { org, json, run } = await setUp();
  const receiver = await startCallbackReceiver(() => ({ status: 500 }));
  const { endpoint_id } = await json<Endpoint>(
    ...['endpoints', 'create', receiver.url, '--event', 'task.created', '--max-retries', '0'],
  );
  const [{ task_id }] = await Promise.all([
    org.client.post<{ task_id: string }>('/v1/tasks', taskBody()),
    org.client.post('/v1/tasks', taskBody()),
  ]);
  const listed = (...more: string[]) => json<Page<Delivery>>('deliveries', ...more);
  const ofEndpoint = (status: string) => listed('list', '--endpoint', endpoint_id, '--status', status);
  await expect.poll(async () => (await ofEndpoint('exhausted,stopped')).data.length, SOON).toBe(2);
  expect((await listed('dead-letters')).data).toHaveLength(2);
  expect((await run('deliveries', 'dead-letters')).stdout).toMatch(/exhausted +1 +500 +task\.created/);
  const [only] = (await listed('list', '--task', task_id)).data;
  expect(await run('deliveries', 'list')).toMatchObject({ code: 2, stdout: '' });

  receiver.reply = () => ({ status: 204 });
  const again = await json<Delivery>('deliveries', 'redeliver', only?.delivery_id ?? '');
  expect(again.delivery_id).toBe(only?.delivery_id);
  await expect.poll(async () => (await ofEndpoint('succeeded')).data.length, SOON).toBe(1);

  const replay = await json<{ replay_id: string }>(
    ...['replays', 'start', endpoint_id, '--since', '2020-01-01T00:00:00Z', '--wait'],
    ...['--idempotency-key', 'nightly'],
  );
  const outcome = { status: 'completed', deliveries: 'failed', sent: 1, succeeded: 1 };
  expect(replay).toMatchObject(outcome);
  const ids = [endpoint_id, replay.replay_id] as const;
  expect(await json('replays', 'get', ...ids, '--wait')).toEqual(replay);
  expect(await json('replays', 'list', endpoint_id)).toMatchObject({ data: [outcome] });
  expect((await run('replays', 'get', ...ids)).stdout).toMatch(/^succeeded +1$/m);
  const cancel = await run('replays', 'cancel', ...ids);
  expect([cancel.code, cancel.stderr.split('\n')[0]]).toEqual([
    1,
    'invalid_transition: The replay is already completed.',
  ]);
  const bare = ['replays', 'start', endpoint_id] as const;
  expect(await run(...bare)).toMatchObject({ code: 2 });
  expect(await run(...bare, '--since', '2020-01-01T00:00:00Z', '--deliveries', 'some')).toMatchObject({
    code: 2,
  });
});

it('sends given-up deliveries again and stops pending ones, with progress', async () => {
  const { org, json, run } = await setUp();
  const receiver = await startCallbackReceiver(() => ({ status: 500 }));
  const create = (max_retries: number) =>
    org.client.post<{ task_id: string }>('/v1/tasks', {
      ...taskBody(),
      handoff: {
        callback_url: receiver.url,
        events: ['task.created'],
        retry_policy: { max_retries, backoff_seconds: 60 },
      },
    });
  await create(0);
  await expect
    .poll(async () => (await json<Page<Delivery>>('deliveries', 'dead-letters')).data.length, SOON)
    .toBe(1);
  receiver.reply = () => ({ status: 204 });
  const range = ['--callback-url', receiver.url, '--since', '2020-01-01T00:00:00Z'] as const;
  const begun = ['redeliveries', 'start', ...range, '--idempotency-key', 'again'] as const;
  const redelivery = await json<{ redelivery_id: string }>(...begun, '--wait');
  const outcome = { status: 'completed', callback_url: receiver.url, sent: 1, succeeded: 1 };
  expect(redelivery).toMatchObject(outcome);
  expect(await json(...begun)).toMatchObject({ redelivery_id: redelivery.redelivery_id });
  expect(await json('redeliveries', 'get', redelivery.redelivery_id, '--wait')).toEqual(redelivery);
  expect(await json('redeliveries', 'list')).toMatchObject({ data: [outcome] });
  expect((await run('redeliveries', 'list')).stdout).toMatch(
    /^redelivery_id +callback_url +endpoint_id +status/,
  );
  expect((await run('redeliveries', 'cancel', redelivery.redelivery_id)).stderr).toContain(
    'already completed',
  );

  receiver.reply = () => ({ status: 500 });
  const { task_id } = await create(5);
  const list = () => json<Page<Delivery & { attempts: object[] }>>('deliveries', 'list', '--task', task_id);
  await expect.poll(async () => (await list()).data[0]?.attempts.length, SOON).toBe(1);
  const stop = await json<{ stop_id: string }>('stops', 'start', '--callback-url', receiver.url, '--wait');
  expect(stop).toMatchObject({ status: 'completed', stopped: 1 });
  expect((await run('stops', 'get', stop.stop_id)).stdout).toMatch(/^stopped +1$/m);
  expect(await json('stops', 'list')).toMatchObject({ data: [{ stop_id: stop.stop_id }] });
  expect((await run('stops', 'cancel', stop.stop_id)).code).toBe(1);
  expect((await list()).data[0]?.status).toBe('stopped');
  expect((await run('stops', 'start')).stderr).toContain('callback_url');
});
