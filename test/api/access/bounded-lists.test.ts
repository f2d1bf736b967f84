// Lists that would grow without end are bounded, and changes without effect write nothing.
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import type { Attempt } from '../../../src/store/webhooks/delivery-attempt.ts';
import { packDelivery } from '../../../src/store/webhooks/delivery-record.ts';
import { type Page, startApiOfFile, type TaskView } from '../../support/api.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

const { api, org } = await startApiOfFile({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });

const keys = () => orgKeysOf(api.prefix, org.org_id);
const entries = async () => (await api.redis.xlen(keys().audit)) ?? 0;
const endpointOf = async () =>
  (
    await org.client.post<{ endpoint_id: string }>('/v1/webhook-endpoints', {
      url: 'https://hooks.example/x',
      events: ['task.failed'],
    })
  ).endpoint_id;
const recordOf = async <T>(key: string) => JSON.parse((await api.redis.hget(key, 'd')) ?? '{}') as T;

describe('signing secrets', () => {
  it('are the newest five of an endpoint, however often it rotates them', async () => {
    const id = await endpointOf();
    for (let count = 0; count < 7; count += 1)
      await org.client.post(`/v1/webhook-endpoints/${id}/rotate-secret`);
    const { secrets } = await recordOf<{ secrets: { expires_at: number | null }[] }>(keys().endpoint(id));
    expect(secrets).toHaveLength(5);
    expect(secrets.map((one) => one.expires_at === null)).toEqual([true, false, false, false, false]);
  });

  it('are the newest five of the org too', async () => {
    for (let count = 0; count < 7; count += 1) await org.client.post('/v1/webhook-secret/rotate');
    const { webhook_secrets } = await recordOf<{ webhook_secrets: object[] }>(keys().org);
    expect(webhook_secrets).toHaveLength(5);
  });
});

describe('attempts of a delivery', () => {
  it('are the first 5 and the last 45 after many redeliveries', async () => {
    const handoff = {
      callback_url: 'http://127.0.0.1:9/none',
      retry_policy: { max_retries: 0 },
      events: ['task.created'],
    };
    const { task_id } = await org.client.post<TaskView>('/v1/tasks', taskBody({ handoff }));
    interface Listed {
      delivery_id: string;
      status: string;
      attempts: { ms: number; error_class: string | null }[];
    }
    const delivery = async (isWanted: (one: Listed) => boolean): Promise<Listed> => {
      for (let tries = 0; tries < 300; tries += 1) {
        const [one] = (await org.client.get<Page<Listed>>(`/v1/tasks/${task_id}/deliveries`)).data;
        if (one !== undefined && isWanted(one)) return one;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error('the delivery did not come to that');
    };
    const { delivery_id } = await delivery((one) => one.status === 'exhausted');
    const timings = { queue: null, dns: null, connect: null, tls: null, first_byte: null, body: null };
    const told = { status: 500, error: 'x', error_class: 'http_status', address: null, body: '' };
    const attempts = Array.from(
      { length: 60 },
      (_, ms): Attempt => ({ at: ms, ms, ...told, next_attempt_at: null, headers: {}, timings }),
    );
    const stored = packDelivery({ status: 'exhausted', attempts });
    await api.redis.hset(keys().deliveries(task_id), '1', stored);
    await org.client.post(`/v1/deliveries/${delivery_id}/redeliver`);
    const after = await delivery((one) => one.attempts.at(-1)?.error_class !== 'http_status');
    expect(after.attempts).toHaveLength(50);
    expect(after.attempts.slice(0, 6).map((one) => one.ms)).toEqual([0, 1, 2, 3, 4, 16]);
  });
});

describe('tokens of a worker', () => {
  it('are exactly 100 at most', async () => {
    const { worker_id } = await createTestWorker(api, org.client);
    await api.redis.sadd(keys().workerTokens(worker_id), ...Array.from({ length: 97 }, () => randomUUID()));
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => org.client.request('POST', `/v1/workers/${worker_id}/tokens`)),
    );
    expect(answers.map((one) => one.outcome).sort()).toEqual([
      '201',
      '201',
      '422 quota_exceeded',
      '422 quota_exceeded',
    ]);
    const refused = answers.find((one) => one.status === 422);
    expect(refused?.problem).toMatchObject({ quota: 'worker_tokens' });
  });
});

describe('replays and test messages of an endpoint', () => {
  it('are kept up to a number and for a time', async () => {
    const id = await endpointOf();
    const index = keys().index(`replays:${id}`);
    // As if created some time ago: their ids sort before all others.
    const recent = Date.now() - 3600_000;
    const old = Array.from({ length: 120 }, (_, at) => {
      const hex = (recent + at).toString(16).padStart(12, '0');
      return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
    });
    for (const one of old) await api.redis.zadd(index, 0, one);
    await api.redis.hset(keys().replay(old[0] ?? ''), 'v', 1);
    await org.client.post(`/v1/webhook-endpoints/${id}/replay`, { since: '2026-01-01T00:00:00Z' });
    expect(await api.redis.zcard(index)).toBe(100);
    expect(await api.redis.exists(keys().replay(old[0] ?? ''))).toBe(0);

    const messages = keys().index('messages');
    await api.redis.zadd(messages, 0, '00000000-0001-7000-8000-000000000000');
    const { event_id } = await org.client.post<{ event_id: string }>(`/v1/webhook-endpoints/${id}/test`);
    expect(await api.redis.zrange(messages, 0, '-1')).toEqual([event_id]);
  });
});

describe('an audit entry', () => {
  it('of a large change contains its size instead of its data', async () => {
    const ip_allowlist = [
      '127.0.0.0/8',
      ...Array.from({ length: 900 }, (_, at) => `198.51.${at >> 8}.${at & 255}/32`),
    ];
    await org.client.patch('/v1/org', { ip_allowlist });
    const [[, [, text = '']] = ['', []]] = await api.redis.xrevrange(keys().audit, '+', '-', 'COUNT', 1);
    expect(Buffer.byteLength(text)).toBeLessThan(10_000);
    const { action, data } = JSON.parse(text) as { action: string; data: Record<string, unknown> };
    expect(action).toBe('org.updated');
    expect(data.ip_allowlist).toMatchObject({ omitted: true, bytes: expect.any(Number) });
    await org.client.patch('/v1/org', { ip_allowlist: [] });
  });
});

describe('a change that changes nothing', () => {
  it('makes no version, no audit entry and no outbox entry', async () => {
    const { name } = await org.client.get<{ name: string }>('/v1/org');
    const id = await endpointOf();
    const { worker_id, client } = await createTestWorker(api, org.client, { availability: 'away' });
    const changes: [string, object][] = [
      ['/v1/org', { name }],
      [`/v1/webhook-endpoints/${id}`, { enabled: true, description: '' }],
      [`/v1/workers/${worker_id}`, { availability: 'away', skills: [] }],
    ];
    const before = await entries();
    for (const [path, body] of changes) {
      const etag = (await org.client.request('GET', path)).headers.get('etag');
      const answer = await org.client.request('PATCH', path, { body });
      expect([path, answer.status, answer.headers.get('etag')]).toEqual([path, 200, etag]);
    }
    const switched = await client.request('PATCH', '/v1/worker', { body: { availability: 'away' } });
    expect([switched.status, switched.headers.get('etag')]).toEqual([200, '"1"']);
    expect(await entries()).toBe(before);
  });
});
