// Messages between the worker and the requester of a task, through the API, streams, webhooks and the command.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Client,
  createKey,
  createPool,
  type EventView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { jsonOf, runCommand } from '../../../support/cli.ts';
import { listen } from '../../../support/events.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTaskIn, createTestWorker, type TaskInStatus } from '../../../support/workers.ts';

interface MessageView {
  message_id: string;
  number: number;
  author: { kind: string; id: string | null };
  text: string;
}

const { api, org } = await startApiOfFile({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });

/** Characters that a message may not contain. */
const CONTROL = /[\p{Cc}\p{Cs}]/u;

const theirs = ({ task }: TaskInStatus) => `/v1/worker/tasks/${task.task_id}/messages`;
const ours = ({ task }: TaskInStatus) => `/v1/tasks/${task.task_id}/messages`;
const send = (client: Client, path: string, body: unknown, headers: Record<string, string> = {}) =>
  client.request('POST', path, { body, headers });
const list = (client: Client, path: string) => client.get<Page<MessageView>>(path);

test('runs the walk-through of the document', async () => {
  const { task, person } = await createTaskIn(api, org, 'started');
  const clients = { worker: person.client, requester: org.client };
  await walk(walkThrough('supervision.md', 'Messages and questions'), clients, { task_id: task.task_id });
});

describe('a message', () => {
  test.each([
    ['nothing', ''],
    ['10 001 characters', 'x'.repeat(10_001)],
    ['an escape character', 'a\u001b[31m'],
    ['a carriage return', 'a\r\n'],
    ['a C1 control character', 'a\u0085'],
    ['a null', 'a\u0000'],
  ])('of %s is refused', async (_what, text) => {
    const staged = await createTaskIn(api, org, 'queued');
    expect((await send(org.client, ours(staged), { text })).outcome).toBe('422 validation_failed');
  });

  test('keeps newlines, tabs, markup and any script', async () => {
    const staged = await createTaskIn(api, org, 'started');
    const text = `<b>1</b>\n\t${'ü漢👍'.repeat(2000)}`;
    expect((await send(staged.person.client, theirs(staged), { text })).status).toBe(201);
    expect((await list(org.client, ours(staged))).data[0]?.text).toBe(text);
  });

  test('is shown to both sides exactly as it was written, whatever it contains', async () => {
    const staged = await createTaskIn(api, org, 'started');
    const hostile = [
      '<script>alert(1)</script><img src=x onerror=alert(1)>',
      '&lt;b&gt; &amp; &quot;',
      '[link](javascript:alert(1)) `code` **bold** # heading',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a message
      '{{7*7}} ${process.env} #{x} %s %n %00',
      String.raw`\" \u0041 \n \x00 \\ \ud800 end`,
      '__proto__ constructor {"a":1}',
      "'; DROP TABLE tasks; -- redis.call('FLUSHALL')",
      '\u202egnp.exe \u2066x\u2069 \u200b\ufeff\u2028\u2029',
      'e\u0301 \u00e9 \ufb01 \u212b',
      '  spaces \n\n\t at both ends  ',
      '=1+1 @SUM(A1) -cmd|calc',
      'task_id {task_id} \ud83d\udc69\u200d\ud83d\udcbb',
    ];
    const seen = async (client: Client, path: string) =>
      (await client.get<Page<MessageView>>(`${path}?limit=200&order=asc`)).data.map((one) => one.text);
    const sent: string[] = [];
    const check = async (text: string) => {
      const byWorker = sent.length % 2 === 0;
      const [client, path] = byWorker ? [staged.person.client, theirs(staged)] : [org.client, ours(staged)];
      const answer = await send(client, path, { text });
      expect([answer.status, answer.as<MessageView>().text]).toEqual([201, text]);
      sent.push(text);
    };
    for (const text of hostile) await check(text);
    const chars = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 });
    for (const text of fc.sample(
      chars.filter((one) => !CONTROL.test(one)),
      30,
    ))
      await check(text);
    expect(await seen(org.client, ours(staged))).toEqual(sent);
    expect(await seen(staged.person.client, theirs(staged))).toEqual(sent);
    const question = hostile.join('\n');
    await send(staged.person.client, theirs(staged), { text: question, question: true });
    for (const [client, path] of [
      [org.client, `/v1/tasks/${staged.task.task_id}`],
      [staged.person.client, `/v1/worker/tasks/${staged.task.task_id}`],
    ] as const)
      expect(await client.get(path)).toMatchObject({ open_question: { text: question } });
  });

  test('is not both a question and an answer', async () => {
    const staged = await createTaskIn(api, org, 'queued');
    const body = { text: 'x', question: true, answers: staged.task.task_id };
    const answer = await send(org.client, ours(staged), body);
    expect(answer.problem.errors).toMatchObject([{ pointer: '/question' }]);
  });

  test('sent twice with one Idempotency-Key exists once', async () => {
    const staged = await createTaskIn(api, org, 'started');
    for (const [client, path] of [
      [org.client, ours(staged)],
      [staged.person.client, theirs(staged)],
    ] as const) {
      const [first, second] = [
        await send(client, path, { text: 'x' }, { 'Idempotency-Key': 'k' }),
        await send(client, path, { text: 'x' }, { 'Idempotency-Key': 'k' }),
      ];
      expect(second.text).toBe(first.text);
      expect(second.headers.get('idempotent-replayed')).toBe('true');
    }
    expect((await list(org.client, ours(staged))).data.map((one) => one.number)).toEqual([1, 2]);
  });

  test('is in the history, the feed, both streams and the webhooks that name it, and in no others', async () => {
    const receiver = await startCallbackReceiver();
    const named = ['task.question_asked', 'task.question_answered', 'task.message_added', 'task.cancelled'];
    const handoff = { callback_url: receiver.url, events: named };
    const unnamed = await startCallbackReceiver();
    await org.client.post('/v1/webhook-endpoints', { url: unnamed.url });
    const staged = await createTaskIn(api, org, 'started', { handoff });
    const { task_id } = staged.task;
    const [feed, stream] = [
      await listen(org.client, '/v1/events/stream'),
      await listen(staged.person.client, '/v1/worker/stream'),
    ];
    await stream.next('worker');
    const question = { text: 'Who?', question: true };
    const { message_id } = (await send(org.client, ours(staged), question)).as<MessageView>();
    expect((await stream.next('task')).data).toMatchObject({
      open_question: { message_id, text: 'Who?', author: { kind: 'requester', id: null } },
      unread_messages: 1,
    });
    await send(staged.person.client, theirs(staged), { text: 'Ada', answers: message_id });
    await send(staged.person.client, theirs(staged), { text: 'Anything else?' });
    for (const type of named.slice(0, 3)) expect((await feed.next(type)).data).toMatchObject({ task_id });
    feed.close();
    stream.close();
    const { data } = await org.client.get<Page<EventView>>(`/v1/tasks/${task_id}/events`);
    const { worker_id } = staged.person;
    expect(data.slice(-3)).toMatchObject([
      {
        type: 'task.question_asked',
        status: 'started',
        previous_status: 'started',
        data: { message_id, text: 'Who?', author: { kind: 'requester' } },
      },
      {
        type: 'task.question_answered',
        actor: `worker:${worker_id}`,
        data: { answers: message_id, author: { kind: 'worker', id: worker_id } },
      },
      { type: 'task.message_added', data: { text: 'Anything else?' } },
    ]);
    await org.client.post(`/v1/tasks/${task_id}/cancel`);
    await expect
      .poll(() => receiver.received.map((one) => one.type).sort(), { timeout: 10_000 })
      .toEqual([...named].sort());
    await expect
      .poll(
        () => unnamed.received.some((one) => one.type === 'task.cancelled' && one.body.includes(task_id)),
        {
          timeout: 10_000,
        },
      )
      .toBe(true);
    expect(unnamed.received.filter((one) => named.slice(0, 3).includes(one.type))).toEqual([]);
  });
});

test('of many questions at the same time one is open', async () => {
  const staged = await createTaskIn(api, org, 'started');
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      index % 2 === 0
        ? send(org.client, ours(staged), { text: 'x', question: true })
        : send(staged.person.client, theirs(staged), { text: 'x', question: true }),
    ),
  );
  expect(answers.map((one) => one.outcome).sort()).toEqual(['201', ...Array(9).fill('409 question_open')]);
  expect((await list(org.client, ours(staged))).data).toHaveLength(1);
});

test('a question is answered once', async () => {
  const staged = await createTaskIn(api, org, 'started');
  const { message_id } = (
    await send(staged.person.client, theirs(staged), { text: '?', question: true })
  ).as<MessageView>();
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => send(org.client, ours(staged), { text: '!', answers: message_id })),
  );
  expect(answers.map((one) => one.outcome).sort()).toEqual([
    '201',
    ...Array(4).fill('409 question_not_open'),
  ]);
});

describe('the conversation', () => {
  test('is hidden from a worker who has lost the task, and whole for the next', async () => {
    const staged = await createTaskIn(api, org, 'started');
    const { task_id } = staged.task;
    await send(staged.person.client, theirs(staged), { text: 'first', question: true });
    const next = await createTestWorker(api, org.client, { pool_ids: [staged.poolId] });
    await staged.person.client.patch('/v1/worker', { availability: 'away' });
    await staged.person.client.post(`/v1/worker/tasks/${task_id}/release`);
    await next.accept(task_id);
    for (const method of ['GET', 'POST'])
      expect(
        (
          await staged.person.client.request(
            method,
            theirs(staged),
            method === 'POST' ? { body: { text: 'x' } } : {},
          )
        ).outcome,
      ).toBe('404 not_found');
    expect(await next.client.get<TaskView>(`/v1/worker/tasks/${task_id}`)).toMatchObject({
      open_question: { text: 'first' },
      unread_messages: 1,
    });
    expect((await list(next.client, theirs(staged))).data).toMatchObject([{ text: 'first' }]);
  });

  test('ends with the task: the requester still reads it, the worker does not, nobody writes', async () => {
    const staged = await createTaskIn(api, org, 'submitted');
    await send(staged.person.client, theirs(staged), { text: 'after submitting' });
    await org.client.post(`/v1/tasks/${staged.task.task_id}/review`, { decision: 'approve' });
    expect((await list(org.client, ours(staged))).data).toMatchObject([{ text: 'after submitting' }]);
    expect((await staged.person.client.request('GET', theirs(staged))).outcome).toBe('404 not_found');
    expect((await send(org.client, ours(staged), { text: 'x' })).outcome).toBe('409 invalid_transition');
    expect((await send(staged.person.client, theirs(staged), { text: 'x' })).outcome).toBe(
      '409 invalid_transition',
    );
  });

  test('is listed page by page in both orders', async () => {
    const staged = await createTaskIn(api, org, 'queued');
    for (const text of ['1', '2', '3']) await send(org.client, ours(staged), { text });
    for (const order of ['asc', 'desc']) {
      const first = await list(org.client, `${ours(staged)}?limit=2&order=${order}`);
      const rest = await list(
        org.client,
        `${ours(staged)}?limit=2&order=${order}&cursor=${first.next_cursor}`,
      );
      const texts = [...first.data, ...rest.data].map((one) => one.text);
      expect(texts).toEqual(order === 'asc' ? ['1', '2', '3'] : ['3', '2', '1']);
      expect([first.has_more, rest.has_more]).toEqual([true, false]);
    }
  });

  test('is bounded to 200 messages', async () => {
    const staged = await createTaskIn(api, org, 'queued');
    for (let count = 0; count < 200; count += 1)
      expect((await send(org.client, ours(staged), { text: 'x' })).status).toBe(201);
    const more = await send(org.client, ours(staged), { text: 'x' });
    expect([more.outcome, more.as<{ quota: string }>().quota]).toEqual(['422 quota_exceeded', 'messages']);
  });

  test('is hidden from a key that is confined to another pool', async () => {
    const staged = await createTaskIn(api, org, 'queued');
    const confined = await createKey(api, org.client, { pools: [await createPool(org.client)] });
    expect((await confined.request('GET', ours(staged))).outcome).toBe('404 not_found');
    expect((await send(confined, ours(staged), { text: 'x' })).outcome).toBe('404 not_found');
  });
});

test('the command lists, sends and answers', async () => {
  const staged = await createTaskIn(api, org, 'started');
  const { task_id } = staged.task;
  const settings = { env: { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: org.client.credential ?? '' } };
  const run = (...args: string[]) => runCommand(['messages', ...args], settings);
  expect(await run('answer', task_id, 'x')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no open question'),
  });
  await send(staged.person.client, theirs(staged), { text: 'Two\nlines?', question: true });
  const answered = await jsonOf<MessageView>(['messages', 'answer', task_id, 'yes'], settings);
  expect(answered).toMatchObject({ number: 2, text: 'yes' });
  expect(await jsonOf(['messages', 'send', task_id, 'And you?', '--question'], settings)).toMatchObject({
    question: true,
  });
  const shown = await run('list', task_id);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/question {2}worker .*\n {2}Two\n {2}lines\?\n.*answer {2}requester/);
  expect(
    await jsonOf<Page<MessageView>>(['messages', 'list', task_id, '--limit', '1'], settings),
  ).toMatchObject({ has_more: true });
});
