// Invalid bodies of `POST /v1/tasks`: every error is reported at its pointer, several errors are reported together, and a
// rejected body leaves Redis unchanged.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Client,
  createOrg,
  createPool,
  startApi,
  type TaskView,
  type TestApi,
} from '../../../support/api.ts';
import { testDatabaseUrl } from '../../../support/redis.ts';
import { snapshot } from '../../../support/snapshot.ts';
import { broken, FAULTS, fullBody, MISSING } from './task-faults.ts';

let api: TestApi;
let client: Client;
let poolId: string;
let before: Map<string, string>;

beforeAll(async () => {
  api = await startApi({ redisUrl: testDatabaseUrl(1) });
  const org = await createOrg(api);
  client = org.client;
  poolId = await createPool(client);
  before = await snapshot(api.redis, api.prefix);
});

afterAll(() => api.close());

function shown(value: unknown): string {
  if (value === MISSING) return 'missing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Expects that Redis has not changed since the last call. */
async function expectUnchanged(): Promise<void> {
  const was = before;
  before = await snapshot(api.redis, api.prefix);
  expect(before).toEqual(was);
}

async function pointersOf(body: unknown): Promise<string[]> {
  const answer = await client.request('POST', '/v1/tasks', { body });
  expect(answer.outcome).toBe('422 validation_failed');
  await expectUnchanged();
  const { errors = [], detail } = answer.problem;
  for (const one of errors) expect(one.message).not.toBe('');
  expect(detail).not.toBe('');
  return [...new Set(errors.map((one) => one.pointer))];
}

describe('one fault', () => {
  test.each(FAULTS.map((fault) => ({ ...fault, name: `${fault.at} ${shown(fault.value)}` })))(
    '$name',
    async (fault) => {
      const pointers = await pointersOf(broken(fullBody(poolId), fault.at, fault.value));
      const { said = fault.at } = fault;
      if (said.endsWith('…')) {
        expect(pointers.length).toBeGreaterThan(0);
        for (const pointer of pointers) expect(pointer.startsWith(said.slice(0, -1))).toBe(true);
      } else expect(pointers).toEqual([said]);
    },
  );

  test.each([[[]], ['text'], [5], [null], [true]])('the whole body is %j', async (body) => {
    expect(await pointersOf(body)).toEqual(['']);
  });
});

describe('several faults', () => {
  test('an empty body lacks all required fields', async () => {
    const pointers = await pointersOf({});
    expect(pointers.sort()).toEqual(
      ['/domain', '/instructions', '/origin', '/output', '/sla', '/task_type', '/title'].sort(),
    );
  });

  test('are all reported at once, of every kind', async () => {
    const faults: [string, unknown][] = [
      ['/extra', 1],
      ['/origin/product', MISSING],
      ['/origin/created_at', 'then'],
      ['/task_type', 'Not a slug'],
      ['/title', ''],
      ['/instructions', 'x'.repeat(20_001)],
      ['/context/constraints/0', 5],
      ['/context/more', 'x'],
      ['/sla/urgency', 'urgent'],
      ['/sla/deadline', '2020-01-01T00:00:00Z'],
      ['/sla/target_latency_seconds', 0],
      ['/requirements/trust_level', 9],
      ['/requirements/worker_pool_id', 'no-such-pool'],
      ['/output/schema/reached_user', 'bool'],
      ['/output/evidence_required', 'yes'],
      ['/output/review/auto_approve_after_seconds', 1.5],
      ['/handoff/callback_url', 'https://127.0.0.1/'],
      ['/handoff/callback_auth/token', MISSING],
      ['/handoff/retry_policy/max_retries', 21],
      ['/handoff/events/0', 'task.done'],
      ['/audit/retain_days', 0],
      ['/metadata/k', 7],
    ];
    const body = faults.reduce((one, [at, value]) => broken(one, at, value), fullBody(poolId) as unknown);
    expect((await pointersOf(body)).sort()).toEqual(faults.map(([at]) => at).sort());
  });

  test('are reported for two rules beyond the schema, in a body that the schema accepts', async () => {
    const body = broken(broken(fullBody(poolId), '/sla/deadline', '2020-01-01T00:00:00Z'), '/output/schema', {
      type: 'object',
      properties: { a: { pattern: '^(a+)+$' }, b: { $ref: 'https://example.com/x' } },
    });
    expect((await pointersOf(body)).sort()).toEqual([
      '/output/schema/properties/a/pattern',
      '/output/schema/properties/b/$ref',
      '/sla/deadline',
    ]);
  });
});

describe('JSON that cannot be stored as sent', () => {
  const cases: [string, string, string][] = [
    ['a number out of range', '"context":{"data":{"n":[1e999]}}', '/context/data/n/0'],
    ['a number of 19 digits', '"context":{"data":{"n":7241196035518234117}}', '/context/data/n'],
    [
      'a number of 19 digits in a member that objects inherit',
      '"context":{"data":{"__proto__":{"n":7241196035518234117}}}',
      '/context/data/__proto__/n',
    ],
    ['numbers that grow', `"context":{"data":{"n":[${Array(1500).fill('1e20').join()}]}}`, ''],
    ['half a character', '"title":"\\ud800"', '/title'],
    ['half a character in a name', '"metadata":{"\\udc00":"x"}', '/metadata'],
    [
      'nesting without end',
      `"context":{"data":${'{"a":'.repeat(500)}1${'}'.repeat(500)}}`,
      '/context/data/a…',
    ],
  ];
  test.each(cases)('%s', async (_name, text, pointer) => {
    const raw = `${JSON.stringify(fullBody(poolId)).slice(0, -1)},${text}}`;
    const answer = await client.request('POST', '/v1/tasks', { raw });
    expect(answer.outcome).toBe('422 validation_failed');
    const [first, ...others] = answer.problem.errors ?? [];
    expect(others).toEqual([]);
    if (pointer.endsWith('…')) expect(first?.pointer.startsWith(pointer.slice(0, -1))).toBe(true);
    else expect(first?.pointer).toBe(pointer);
    await expectUnchanged();
  });
});

describe('names of all objects together', () => {
  /** The full body with nested objects that bring the number of names to `count`. */
  function bodyOfNames(count: number): string {
    const body = { ...fullBody(poolId), context: { data: { flat: {}, list: [{}] } } };
    const own = JSON.stringify(body).match(/":/g)?.length ?? 0;
    const names = Array.from({ length: count - own }, (_, index) => [index.toString(36), 0]);
    const data = { flat: Object.fromEntries(names.slice(1)), list: [Object.fromEntries(names.slice(0, 1))] };
    return JSON.stringify({ ...body, context: { data } });
  }

  test('10 001 are refused', async () => {
    const answer = await client.request('POST', '/v1/tasks', { raw: bodyOfNames(10_001) });
    expect(answer.outcome).toBe('422 validation_failed');
    expect(answer.problem.errors).toEqual([
      { pointer: '', message: 'has more than 10000 names in its objects' },
    ]);
    await expectUnchanged();
  });

  test('10 000 are accepted', async () => {
    const answer = await client.request('POST', '/v1/tasks', { raw: bodyOfNames(10_000) });
    expect(answer.outcome).toBe('201');
  });
});

describe('values at the limit of a rule are accepted', () => {
  const edges: [string, unknown][] = [
    ['/title', 'x'],
    ['/title', 'x'.repeat(200)],
    ['/title', '🧪'.repeat(200)],
    ['/instructions', '漢'.repeat(20_000)],
    ['/task_type', `a${'b'.repeat(63)}`],
    ['/sla/target_latency_seconds', 1],
    ['/sla/target_latency_seconds', 31_536_000],
    ['/requirements/trust_level', 0],
    ['/requirements/trust_level', 5],
    ['/requirements/min_rating', 0],
    ['/requirements/min_rating', 5],
    ['/handoff/retry_policy/max_retries', 0],
    ['/handoff/retry_policy/max_retries', 20],
    ['/handoff/retry_policy/backoff_seconds', 1],
    ['/handoff/retry_policy/backoff_seconds', 3600],
    ['/handoff/callback_auth', { type: 'none' }],
    ['/handoff/callback_auth', { type: 'basic', username: 'ü', password: 'p:w' }],
    ['/audit/retain_days', 1],
    ['/audit/retain_days', 3650],
    [
      '/metadata',
      Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, 'x'.repeat(500)])),
    ],
    ['/metadata', {}],
    ['/context', {}],
    ['/output/schema', {}],
    ['/output/schema', { a: 'boolean?', 'b c': 'array', ü: 'integer' }],
    ['/output', { expected_format: 'text' }],
    ['/sla', { urgency: 'low' }],
  ];
  test.each(edges.map(([at, value]) => ({ name: `${at} ${shown(value)}`, at, value })))(
    '$name',
    async ({ at, value }) => {
      const body = broken(fullBody(poolId), at, value);
      const task = await client.post<TaskView>('/v1/tasks', body);
      expect(task.status).toBe('queued');
    },
  );
});
