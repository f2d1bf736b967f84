// Notification channels of a worker: what is accepted, shown and kept secret.
import { describe, expect, it } from 'vitest';
import { type Answer, createOrg, type Page, startApiOfFile } from '../../../support/api.ts';
import { subscribe } from '../../../support/notices.ts';
import { createTestWorker } from '../../../support/workers.ts';

const { api, client } = await startApiOfFile();
const PATH = '/v1/worker/notification-channels';

interface ChannelView {
  channel_id: string;
  target: string;
  enabled: boolean;
  name: string;
}

const push = (endpoint = 'https://push.example.com/send/secret-path') => ({
  kind: 'web_push',
  subscription: subscribe(endpoint).subscription,
});
const slack = (path = 'T0/B0/secret') => ({
  kind: 'slack',
  url: `https://hooks.example.com/services/${path}`,
});
const person = () => createTestWorker(api, client);
const pointersOf = (answer: Answer) => answer.problem.errors?.map((one) => one.pointer);

describe('a channel', () => {
  it('is shown without its secrets, which are stored sealed', async () => {
    const worker = await person();
    const body = push();
    const answer = await worker.client.request('POST', PATH, { body });
    expect(answer.status).toBe(201);
    const channel = answer.as<ChannelView>();
    expect(channel).toMatchObject({ target: 'push.example.com', enabled: true, quiet_hours: null });
    const list = await worker.client.request('GET', PATH);
    expect(list.as<Page<ChannelView>>().data).toEqual([channel]);
    const [key = ''] = await api.redis.keys(`*notification-channels:${worker.worker_id}`);
    const stored = JSON.stringify(await api.redis.hgetall(key));
    for (const text of [answer.text, list.text, stored])
      for (const secret of ['secret-path', body.subscription.keys.auth, body.subscription.keys.p256dh])
        expect(text).not.toContain(secret);
  });

  it('that is added again is updated', async () => {
    const worker = await person();
    const first = await worker.client.post<ChannelView>(PATH, push());
    await worker.client.patch(`${PATH}/${first.channel_id}`, { enabled: false, name: 'Phone' });
    const again = await worker.client.request('POST', PATH, { body: push() });
    expect(again.status).toBe(200);
    expect(again.as<ChannelView>()).toMatchObject({
      channel_id: first.channel_id,
      enabled: true,
      name: 'Phone',
    });
  });

  it('is moved, disabled with its time and reason, and removed', async () => {
    const worker = await person();
    const ids: string[] = [];
    for (const path of ['a', 'b', 'c'])
      ids.push((await worker.client.post<ChannelView>(PATH, slack(path))).channel_id);
    const [a = '', b = '', c = ''] = ids;
    expect(await worker.client.patch(`${PATH}/${c}`, { position: 1, enabled: false })).toMatchObject({
      enabled: false,
      disabled: { reason: 'manual' },
    });
    await worker.client.delete(`${PATH}/${a}`);
    const { data } = await worker.client.get<Page<ChannelView>>(PATH);
    expect(data.map((one) => one.channel_id)).toEqual([c, b]);
    const stale = { body: { name: 'x' }, headers: { 'If-Match': '"9"' } };
    expect((await worker.client.request('PATCH', `${PATH}/${b}`, stale)).outcome).toBe(
      '412 version_mismatch',
    );
  });

  it('is one of ten at most, also when they are added at once', async () => {
    const worker = await person();
    const answers = await Promise.all(
      Array.from({ length: 14 }, (_, index) =>
        worker.client.request('POST', PATH, { body: slack(String(index)) }),
      ),
    );
    expect(answers.filter((one) => one.status === 201)).toHaveLength(10);
    expect(answers.filter((one) => one.outcome === '422 quota_exceeded')).toHaveLength(4);
  });

  it('of another worker or another org is not there', async () => {
    const worker = await person();
    const { channel_id } = await worker.client.post<ChannelView>(PATH, slack());
    const other = await person();
    expect((await other.client.request('GET', `${PATH}/${channel_id}`)).outcome).toBe('404 not_found');
    const org = await createOrg(api);
    const path = `/v1/workers/${worker.worker_id}/notifications`;
    expect((await org.client.request('GET', path)).outcome).toBe('404 not_found');
  });

  it('is refused with the field at fault', async () => {
    const worker = await person();
    const refused = async (body: object) => pointersOf(await worker.client.request('POST', PATH, { body }));
    expect(await refused({ kind: 'slack', url: 'https://10.0.0.1/x' })).toEqual(['/url']);
    expect(await refused({ kind: 'slack', url: 'http://hooks.example.com/x' })).toEqual(['/url']);
    expect(await refused(push('https://[::1]/x'))).toEqual(['/subscription/endpoint']);
    // This server has no mail server.
    expect(await refused({ kind: 'email', address: 'ada@example.com' })).toEqual(['/kind']);
    const { subscription } = push();
    const keys = { p256dh: Buffer.alloc(65, 4).toString('base64url'), auth: 'AAAA' };
    expect(await refused({ kind: 'web_push', subscription: { ...subscription, keys } })).toEqual([
      '/subscription/keys/p256dh',
      '/subscription/keys/auth',
    ]);
    const quiet_hours = { start: '22:00', end: '25:00', time_zone: 'Europe/Berlin' };
    expect(await refused({ ...slack(), quiet_hours })).toEqual(['/quiet_hours/end']);
    expect(
      await refused({ ...slack(), quiet_hours: { ...quiet_hours, end: '07:00', time_zone: 'Mars/Base' } }),
    ).toEqual(['/quiet_hours']);
    const { data } = await worker.client.get<Page<ChannelView>>(PATH);
    expect(data).toEqual([]);
  });
});

describe('the key for Web Push', () => {
  it('is the same for all who ask at once', async () => {
    const worker = await person();
    const keys = await Promise.all(
      Array.from({ length: 20 }, () => worker.client.get<{ public_key: string }>(`${PATH}/web-push-key`)),
    );
    expect(new Set(keys.map((one) => one.public_key)).size).toBe(1);
    expect(Buffer.from(keys[0]?.public_key ?? '', 'base64url')).toHaveLength(65);
  });
});
