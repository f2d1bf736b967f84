// Notices to workers through the API and the processors, to local receivers.
import { afterAll, describe, expect, it } from 'vitest';
import { createPool, type Org, startApiOfFile } from '../../support/api.ts';
import {
  plainText,
  startMailServer,
  startNoticeReceiver,
  subscribe,
  vapidClaims,
} from '../../support/notices.ts';
import { createTestWorker, type TestWorker, taskBody } from '../../support/workers.ts';

const mail = await startMailServer();
afterAll(() => mail.close());
const PUBLIC_URL = 'https://work.example.com';
const { api, org, client } = await startApiOfFile({
  processors: true,
  webhookAllowedNetworks: ['127.0.0.0/8'],
  notices: {
    mail: { url: mail.url, from: 'BioLayer <work@example.com>' },
    vapidSubject: 'mailto:operator@example.com',
    publicUrl: PUBLIC_URL,
  },
});
const CHANNELS = '/v1/worker/notification-channels';
const SOON = { timeout: 20_000, interval: 50 };

interface ChannelView {
  channel_id: string;
  enabled: boolean;
  confirmed: boolean;
  disabled: { reason: string } | null;
}
interface NoticeView {
  notice_id: string;
  kind: string;
  task_id: string | null;
  status: string;
  reason: string | null;
  attempts: { channel: string; outcome: string; error: string | null }[];
}

/** An available worker in a pool of their own. */
async function person(): Promise<TestWorker & { pool: string }> {
  const pool = await createPool(client);
  return Object.assign(await createTestWorker(api, client, { pool_ids: [pool] }), { pool });
}

function addPush(worker: TestWorker, endpoint: string, more: object = {}) {
  const { subscription, decrypt } = subscribe(endpoint);
  const body = { kind: 'web_push', subscription, ...more };
  return worker.client.post<ChannelView>(CHANNELS, body).then((channel) => ({ channel, decrypt }));
}

const addSlack = (worker: TestWorker, url: string, more: object = {}) =>
  worker.client.post<ChannelView>(CHANNELS, { kind: 'slack', url: `${url}/services/secret`, ...more });

/** An e-mail channel that is confirmed with the code of its message. */
async function addMail(worker: TestWorker, address: string): Promise<ChannelView> {
  const { channel_id } = await worker.client.post<ChannelView>(CHANNELS, { kind: 'email', address });
  const code = await codeFor(address);
  return worker.client.post<ChannelView>(`${CHANNELS}/${channel_id}/confirm`, { code });
}

const mailsTo = (address: string) => mail.received.filter(({ to }) => to.includes(address));

async function codeFor(address: string): Promise<string> {
  await expect.poll(() => mailsTo(address).length, SOON).toBeGreaterThan(0);
  return /code (\d{6})/.exec(plainText(mailsTo(address).at(-1)?.text ?? ''))?.[1] ?? '';
}

/** Status and code of a refused request. */
const refusal = async (worker: TestWorker, path: string, body: object) =>
  (await worker.client.request('POST', path, { body })).outcome;

/** Creates a task for the worker's pool. */
const offerTask = (worker: { pool: string }, fields: Record<string, unknown> = {}) =>
  client.post<{ task_id: string }>(
    '/v1/tasks',
    taskBody({
      title: 'Is this door open?',
      requirements: { worker_pool_id: worker.pool },
      sla: { urgency: 'high' },
      ...fields,
    }),
  );

const noticesOf = async (worker: TestWorker) =>
  (await worker.client.get<{ data: NoticeView[] }>('/v1/worker/notifications')).data;

/** The only notice of the kind, once it is settled. */
async function settled(worker: TestWorker, kind: string): Promise<NoticeView> {
  const find = async () => (await noticesOf(worker)).find((one) => one.kind === kind);
  await expect.poll(async () => (await find())?.status, SOON).toMatch(/^(sent|failed|not_sent)$/);
  const found = await find();
  if (found === undefined) throw new Error(`no ${kind}`);
  return found;
}

describe('Web Push', () => {
  it('brings an offer to the browser, encrypted for it and signed with the key of the server', async () => {
    const service = await startNoticeReceiver();
    const worker = await person();
    const { decrypt } = await addPush(worker, `${service.url}/push/1`);
    const { task_id } = await offerTask(worker);
    const { offer_id } = await worker.offerOf(task_id);
    const notice = await settled(worker, 'offer');
    expect(notice).toMatchObject({ notice_id: offer_id, task_id, status: 'sent', reason: null });
    expect(notice.attempts).toMatchObject([{ channel: 'web_push', outcome: 'sent', error: null }]);
    const [request] = service.received;
    if (request === undefined) throw new Error('no request');
    expect(service.received).toHaveLength(1);
    expect(request.headers).toMatchObject({ urgency: 'high', topic: offer_id.replaceAll('-', '') });
    expect(Number(request.headers.ttl)).toBeLessThanOrEqual(60);
    expect(decrypt(request)).toEqual({
      notice_id: offer_id,
      kind: 'offer',
      language: 'en',
      title: 'New offer: Is this door open?',
      body: expect.stringMatching(/^Urgency: high\. The offer ends in \d+ seconds\.$/),
      url: `${PUBLIC_URL}/work/offers/${offer_id}`,
    });
    const { public_key } = await worker.client.get<{ public_key: string }>(`${CHANNELS}/web-push-key`);
    const { key, claims } = vapidClaims(request);
    expect(key).toBe(public_key);
    expect(claims).toMatchObject({ aud: service.url, sub: 'mailto:operator@example.com' });
  });

  it.each([404, 410])('disables a channel whose push service answers %d', async (status) => {
    const service = await startNoticeReceiver(() => ({ status }));
    const worker = await person();
    const { channel } = await addPush(worker, `${service.url}/push/1`);
    await offerTask(worker);
    const notice = await settled(worker, 'offer');
    expect(notice.status).toBe('failed');
    expect(notice.attempts).toHaveLength(1);
    expect(await worker.client.get<ChannelView>(`${CHANNELS}/${channel.channel_id}`)).toMatchObject({
      enabled: false,
      disabled: { reason: 'gone' },
    });
    expect(service.received).toHaveLength(1);
  });
});

describe('a channel that fails', () => {
  it('is tried once more, and then the next one gets the notice', async () => {
    const service = await startNoticeReceiver(() => ({ status: 503 }));
    const slack = await startNoticeReceiver(() => ({ status: 200 }));
    const worker = await person();
    await addPush(worker, `${service.url}/push/1`);
    await addSlack(worker, slack.url, { language: 'de' });
    const { task_id } = await offerTask(worker, { title: 'Ist <b>Tür</b> & Tor <!channel> offen?' });
    const { offer_id } = await worker.offerOf(task_id);
    const notice = await settled(worker, 'offer');
    expect(notice.status).toBe('sent');
    expect(notice.attempts).toMatchObject([
      { channel: 'web_push', outcome: 'failed', error: 'The receiver answered 503.' },
      { channel: 'web_push', outcome: 'failed' },
      { channel: 'slack', outcome: 'sent' },
    ]);
    const { text } = JSON.parse(slack.received[0]?.body.toString() ?? '');
    expect(text).toMatch(/^Neues Angebot: Ist &lt;b&gt;Tür&lt;\/b&gt; &amp; Tor &lt;!channel&gt; offen\?\n/);
    expect(text).toContain(`<${PUBLIC_URL}/work/offers/${offer_id}>`);
    // The team sees the same.
    const path = `/v1/workers/${worker.worker_id}/notifications`;
    const { data } = await client.get<{ data: NoticeView[] }>(path);
    expect(data).toEqual(await noticesOf(worker));
  });

  it('does not hold up a worker whose channels work, even when the mail server does not answer', async () => {
    const hanging = await startNoticeReceiver(() => 'hang');
    const service = await startNoticeReceiver();
    const [slow, quick] = [await person(), await person()];
    await addMail(slow, 'slow@example.com');
    await Promise.all(Array.from({ length: 5 }, (_, index) => addPush(slow, `${hanging.url}/push/${index}`)));
    await addPush(quick, `${service.url}/push/1`);
    mail.take = () => 'hang';
    try {
      await offerTask(slow);
      await expect.poll(() => mailsTo('slow@example.com').length, SOON).toBe(1);
      await offerTask(quick);
      expect((await settled(quick, 'offer')).status).toBe('sent');
      expect((await noticesOf(slow)).find((one) => one.kind === 'offer')?.status).toBe('pending');
    } finally {
      mail.take = () => 'take';
    }
  });

  it('is not tried any longer once the offer has ended', async () => {
    const service = await startNoticeReceiver(() => ({ status: 503 }));
    const worker = await person();
    await addPush(worker, `${service.url}/push/1`);
    const { task_id } = await offerTask(worker);
    await expect.poll(() => service.received.length, SOON).toBe(1);
    await worker.accept(task_id);
    const notice = await settled(worker, 'offer');
    expect(notice).toMatchObject({ status: 'not_sent', reason: 'no_longer_relevant' });
    expect(service.received).toHaveLength(1);
  });
});

describe('e-mail', () => {
  it('goes to an address only after it was confirmed with the code that it got', async () => {
    const worker = await person();
    const address = 'ada@example.com';
    const channel = await worker.client.post<ChannelView>(CHANNELS, { kind: 'email', address });
    expect(channel.confirmed).toBe(false);
    const code = await codeFor(address);
    await offerTask(worker);
    expect(await settled(worker, 'offer')).toMatchObject({ status: 'not_sent', reason: 'no_channel' });
    expect(mailsTo(address)).toHaveLength(1);
    const confirm = `${CHANNELS}/${channel.channel_id}/confirm`;
    const wrong = code === '000000' ? '000001' : '000000';
    expect(await refusal(worker, confirm, { code: wrong })).toBe('422 validation_failed');
    const test = `${CHANNELS}/${channel.channel_id}/test`;
    expect(await refusal(worker, test, {})).toBe('409 channel_not_usable');
    expect(await worker.client.post(confirm, { code })).toMatchObject({ confirmed: true });
    await worker.client.post(test);
    expect((await settled(worker, 'test')).status).toBe('sent');
    const [, message] = mailsTo(address);
    expect(message?.text).toMatch(/^From: BioLayer <work@example\.com>$/m);
    expect(message?.text).toMatch(/^Subject: Test notice$/m);
    expect(plainText(message?.text ?? '')).toContain(`${PUBLIC_URL}/work/settings`);
  });

  it('is confirmed by none of the codes after five wrong ones, and by a new code', async () => {
    const worker = await person();
    const address = 'bea@example.com';
    const { channel_id } = await worker.client.post<ChannelView>(CHANNELS, { kind: 'email', address });
    const code = await codeFor(address);
    const wrong = code === '000000' ? '000001' : '000000';
    const confirm = `${CHANNELS}/${channel_id}/confirm`;
    for (let nth = 1; nth <= 5; nth += 1) await refusal(worker, confirm, { code: wrong });
    expect(await refusal(worker, confirm, { code })).toBe('422 validation_failed');
    await worker.client.post(`${CHANNELS}/${channel_id}/send-code`);
    await expect.poll(() => mailsTo(address).length, SOON).toBe(2);
    expect(await worker.client.post(confirm, { code: await codeFor(address) })).toMatchObject({
      confirmed: true,
    });
  });

  it('falls through to the next channel when the mail server refuses the message', async () => {
    const slack = await startNoticeReceiver(() => ({ status: 200 }));
    const worker = await person();
    await addMail(worker, 'full@example.com');
    await addSlack(worker, slack.url);
    mail.take = () => 552;
    try {
      await offerTask(worker);
      expect((await settled(worker, 'offer')).attempts).toMatchObject([
        { channel: 'email', outcome: 'failed', error: 'The mail server refused the message (552).' },
        { channel: 'slack', outcome: 'sent' },
      ]);
    } finally {
      mail.take = () => 'take';
    }
  });
});

describe('a task in the hands of a worker', () => {
  it('causes notices when it is assigned, written about and sent back', async () => {
    const slack = await startNoticeReceiver(() => ({ status: 200 }));
    const worker = await person();
    await addSlack(worker, slack.url);
    const { task_id } = await offerTask(worker, {
      requirements: { skills: ['skill_of_nobody'] },
      output: { expected_format: 'text', review: { mode: 'manual' } },
    });
    await client.post(`/v1/tasks/${task_id}/assign`, {
      worker_id: worker.worker_id,
      mode: 'assign',
      force: true,
    });
    expect(await settled(worker, 'assigned')).toMatchObject({ task_id, status: 'sent' });
    await client.post(`/v1/tasks/${task_id}/messages`, { text: 'Please use the side door.' });
    expect((await settled(worker, 'message')).status).toBe('sent');
    await worker.start(task_id);
    await worker.submit(task_id, 'It is open.');
    await client.post(`/v1/tasks/${task_id}/review`, { decision: 'rework', feedback: 'Which door?' });
    expect((await settled(worker, 'rework')).status).toBe('sent');
    const texts = slack.received.map(({ body }) => JSON.parse(body.toString()).text as string);
    expect(texts).toHaveLength(3);
    for (const text of texts) {
      expect(text).toContain(`<${PUBLIC_URL}/work/tasks/${task_id}>`);
      // What people have written stays on the pages.
      expect(text).not.toMatch(/side door|Which door/);
    }
  });
});

describe('a deadline that is near', () => {
  it('causes one notice to the worker who has the task', async () => {
    const slack = await startNoticeReceiver(() => ({ status: 200 }));
    const worker = await person();
    await addSlack(worker, slack.url);
    const within = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
    const { task_id } = await offerTask(worker, { sla: { urgency: 'high', deadline: within(3600) } });
    await worker.accept(task_id);
    await worker.start(task_id);
    // Two minutes are left in a second.
    await client.patch(`/v1/tasks/${task_id}`, { sla: { deadline: within(121) } });
    expect(await settled(worker, 'due_soon')).toMatchObject({ task_id, status: 'sent' });
    const texts = slack.received.map(({ body }) => JSON.parse(body.toString()).text as string);
    expect(texts.at(-1)).toContain('Due soon: Is this door open?');
    expect((await noticesOf(worker)).map(({ kind }) => kind)).toEqual(['due_soon', 'offer']);
  });
});

describe('removing a worker', () => {
  it('removes their channels and notices', async () => {
    const slack = await startNoticeReceiver(() => ({ status: 200 }));
    const worker = await person();
    await addSlack(worker, slack.url);
    await offerTask(worker);
    await settled(worker, 'offer');
    await client.delete(`/v1/workers/${worker.worker_id}`);
    const left = await api.redis.keys(`*${worker.worker_id}*`);
    expect(left.filter((key) => /notice|notification/.test(key))).toEqual([]);
    expect(await isNotified(org, worker.worker_id)).toBe(false);
  });
});

async function isNotified({ org_id }: Org, workerId: string): Promise<boolean> {
  const [key = ''] = await api.redis.keys(`*${org_id}:notified-workers`);
  return key !== '' && (await api.redis.sismember(key, workerId)) === 1;
}
