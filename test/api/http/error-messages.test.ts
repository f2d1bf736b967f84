// What errors say to a person who meets them for the first time: the rule in words, an example, all faults at once, and a page
// that explains the code.
import Type from 'typebox';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ruleOf } from '../../../src/api/http/pattern-rules.ts';
import { PROBLEMS } from '../../../src/api/http/problem.ts';
import { closed, nullable, Slug, Uuid } from '../../../src/api/http/schemas.ts';
import { bodyCheck } from '../../../src/api/http/validation.ts';
import { ROUTES } from '../../../src/api/routes/index.ts';
import {
  type Client,
  createOrg,
  createPool,
  startApi,
  type TaskView,
  type TestApi,
} from '../../support/api.ts';
import { broken, fullBody } from '../routes/tasks/task-faults.ts';

let api: TestApi;
let client: Client;
let pool: string;
beforeAll(async () => {
  api = await startApi();
  ({ client } = await createOrg(api));
  pool = await createPool(client);
});
afterAll(() => api.close());

async function errorsOf(...faults: [pointer: string, value: unknown][]): Promise<Record<string, string>> {
  const body = faults.reduce((one, [at, value]) => broken(one, at, value), fullBody(pool) as unknown);
  const answer = await client.request('POST', '/v1/tasks', { body });
  expect(answer.outcome).toBe('422 validation_failed');
  return Object.fromEntries((answer.problem.errors ?? []).map((one) => [one.pointer, one.message]));
}

/** The time so many seconds from now. */
function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

describe('a message says', () => {
  test('which format is wanted, with an example', async () => {
    expect(await errorsOf(['/sla/deadline', 'tomorrow'], ['/requirements/excluded_tasks', ['x']])).toEqual({
      '/sla/deadline': 'must be an RFC 3339 time with its offset, such as 2026-03-01T09:30:00Z',
      '/requirements/excluded_tasks/0': expect.stringMatching(
        /^must match format "uuid", such as [0-9a-f-]{36}$/,
      ),
    });
  });

  test('the rule of a pattern in words', async () => {
    expect(await errorsOf(['/task_type', 'Phone Check'], ['/output/evidence_types/0', 'png'])).toEqual({
      '/task_type':
        'must be 1 to 64 lower-case letters, digits and underscores, and start with a letter, such as phone_check',
      '/output/evidence_types/0': 'must be a media type or range, such as image/png or image/*',
    });
  });

  test('which values are permitted, also those that choose between forms', async () => {
    expect(
      await errorsOf(
        ['/sla/urgency', 'urgent'],
        ['/handoff/callback_auth', { type: 'oauth' }],
        ['/sla/on_deadline', { action: 'retry' }],
      ),
    ).toEqual({
      '/sla/urgency': 'must be one of low, normal, high, critical',
      '/handoff/callback_auth/type': 'must be one of none, bearer, basic',
      '/sla/on_deadline/action': 'must be one of fail, complete',
    });
  });

  test('that something is empty or too long', async () => {
    expect(
      await errorsOf(['/title', ''], ['/handoff/events', []], ['/instructions', 'x'.repeat(20_001)]),
    ).toEqual({
      '/title': 'must not be empty',
      '/handoff/events': 'must not be empty',
      '/instructions': 'must have at most 20000 characters',
    });
  });

  test('that a text answer is empty, and not that it is no text', async () => {
    const messageFor = (output: unknown) =>
      errorsOf(['/output', { expected_format: 'text', gold: { output } }]);
    expect(await messageFor('')).toEqual({ '/output/gold/output': 'must not be empty' });
    expect(await messageFor({})).toEqual({ '/output/gold/output': 'must be text (a JSON string)' });
  });

  test('at most 60 of many permitted values', () => {
    const values = Array.from({ length: 100 }, (_, index) => `v${index}`);
    const check = bodyCheck(closed({ a: { type: 'string', enum: values } }));
    expect(check({ a: '' })[0]?.message).toMatch(/^must be one of v0, v1, .*, v59, …$/);
  });

  test('the same under a union with null', () => {
    const check = bodyCheck(closed({ a: nullable(Slug), b: nullable(Uuid) }));
    expect(check({ a: 'A B', b: 'x' }).map((one) => one.message)).toEqual([
      expect.stringContaining('lower-case letters'),
      expect.stringContaining('"uuid", such as'),
    ]);
  });

  test('what is wrong within an object or null, and not that it is not null', () => {
    const inner = closed({ c: nullable(Slug), d: Type.Array(Slug, { uniqueItems: true }) });
    const check = bodyCheck(closed({ a: nullable(inner), b: Type.Unsafe({ type: ['string', 'null'] }) }));
    expect(check({ a: { c: 'A B', d: ['x', 'y', 'x'] }, b: 1 })).toEqual([
      { pointer: '/a/c', message: expect.stringContaining('lower-case letters') },
      { pointer: '/a/d', message: 'must not repeat an item: 0 and 2 are the same' },
      { pointer: '/b', message: 'must be string or null' },
    ]);
    expect(check({ a: 1, b: null })).toEqual([{ pointer: '/a', message: 'must be object' }]);
  });
});

test('every pattern of a body or query has a rule in words', () => {
  const missing = new Set<string>();
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('pattern' in value && typeof value.pattern === 'string' && ruleOf(value.pattern) === undefined)
      missing.add(value.pattern);
    Object.values(value).forEach(look);
  };
  for (const { body, query, bodyShown } of ROUTES) look([body, query, bodyShown]);
  expect([...missing]).toEqual([]);
});

describe('a target latency', () => {
  test('that ends after the deadline is refused', async () => {
    const sla = { urgency: 'high', deadline: inSeconds(3600), target_latency_seconds: 7200 };
    expect(await errorsOf(['/sla', sla])).toEqual({
      '/sla/target_latency_seconds': 'must end before sla.deadline',
    });
    const later = { ...sla, target_latency_seconds: 1800 };
    expect(await errorsOf(['/sla', later], ['/not_before', inSeconds(2700)])).toHaveProperty([
      '/sla/target_latency_seconds',
    ]);
  });

  test('that ends with the deadline is accepted', async () => {
    const sla = { urgency: 'high', deadline: inSeconds(3600), target_latency_seconds: 3600 };
    const body = broken(fullBody(pool), '/sla', sla);
    const { task_id } = (await client.request('POST', '/v1/tasks', { body })).as<TaskView>();
    const patch = (target_latency_seconds: number) =>
      client.request('PATCH', `/v1/tasks/${task_id}`, { body: { sla: { target_latency_seconds } } });
    expect((await patch(7200)).problem.errors).toEqual([
      { pointer: '/sla/target_latency_seconds', message: 'must end before sla.deadline' },
    ]);
    expect((await patch(60)).status).toBe(200);
  });
});

test('the faults of a pasted card come in one answer', async () => {
  const faults = await errorsOf(
    ['/origin/org_id', 'org_123'],
    ['/sla/deadline', '2024-01-01T00:00:00Z'],
    ['/requirements/worker_pool_id', 'pool_soc_us'],
  );
  expect(Object.keys(faults).sort()).toEqual([
    '/origin/org_id',
    '/requirements/worker_pool_id',
    '/sla/deadline',
  ]);
  const body = broken(fullBody(pool), '/origin/org_id', 'org_123');
  const { outcome, problem } = await client.request('POST', '/v1/tasks', { body });
  expect(outcome).toBe('403 org_mismatch');
  expect(problem.errors).toEqual([{ pointer: '/origin/org_id', message: 'is not the org of this key' }]);
});

test('`type` leads to the explanation of the code on the server itself', async () => {
  const response = await fetch(`${api.url}/v1/tasks/x`);
  const { type } = (await response.json()) as { type: string };
  const page = await fetch(new URL(type, response.url));
  expect(page.status).toBe(200);
  const text = await page.text();
  expect(text).toContain(`<h2 id="${type.split('#')[1]}">`);
  expect([...text.matchAll(/<h2 id="(\w+)">/g)].map(([, code]) => code)).toEqual(Object.keys(PROBLEMS));
  expect(text).not.toMatch(/https?:\/\/|style=|`/);
});
