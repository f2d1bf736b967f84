// Bodies of the largest permitted size, for every route with a body: valid or not, the response is short and has few errors,
// and rejected parts are not checked further. test/faults/size-limits.test.ts measures the time.
import Type from 'typebox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allFaults, bodyCheck, memberOf } from '../../../src/api/http/validation.ts';
import { numberFaults } from '../../../src/api/middleware/exact-numbers.ts';
import { BODY_LIMIT } from '../../../src/api/middleware/json-body.ts';
import type { Route } from '../../../src/api/route.ts';
import { ROUTES } from '../../../src/api/routes/index.ts';
import { TaskCreate } from '../../../src/api/routes/tasks/task-input.schema.ts';
import { stepErrors } from '../../../src/state/tasks/relaxation-validation.ts';
import { type Client, createOrg, startApi, type TestApi } from '../../support/api.ts';
import { hostileBodies } from '../../support/size-limit-bodies.ts';
import { createTestWorker, taskBody } from '../../support/workers.ts';

const ID = '00000000-0000-7000-8000-000000000000';

let api: TestApi;
let clients: Record<Route['access']['kind'], Client>;

beforeAll(async () => {
  api = await startApi();
  const { client } = await createOrg(api);
  const { client: worker } = await createTestWorker(api, client);
  const none = api.client(null);
  clients = {
    ...{ scope: client, worker, operator: api.operator },
    ...{ session: none, sign_in: none, open: none },
  };
});
afterAll(() => api.close());

const ONE = ROUTES.filter((route) => route.body !== undefined && route.bodyLimits === undefined);

test.each(ONE.map((route) => ({ route, name: `${route.method} ${route.path}` })))(
  '$name',
  async ({ route }) => {
    const path = route.path.replaceAll(/\{\w+\}/g, ID);
    for (const { name, text } of hostileBodies(route, BODY_LIMIT, true)) {
      const answer = await clients[route.access.kind].request(route.method, path, {
        raw: text,
        headers: { Origin: api.url },
      });
      expect([name, answer.status]).not.toEqual([name, 500]);
      expect([name, answer.text.length < 4 * text.length]).toEqual([name, true]);
      if (answer.status >= 400) expect((answer.problem.errors ?? []).length).toBeLessThanOrEqual(50);
    }
  },
);

test('a batch reports 500 faults besides the first of each task', async () => {
  const wrong = { handoff: { events: Array.from({ length: 2000 }, () => 1) }, ...unknownFields(100) };
  const answer = await clients.scope.request('POST', '/v1/tasks/batch', {
    body: { tasks: Array.from({ length: 100 }, () => wrong) },
  });
  expect(answer.status).toBe(200);
  const { results } = answer.as<{ results: { error: { errors: unknown[] } }[] }>();
  const counts = results.map((one) => one.error.errors.length);
  expect(counts.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 50));
  expect(counts.slice(10)).toEqual(Array.from({ length: 90 }, () => 1));
});

test('a task in a batch gets the same errors as alone', async () => {
  const backlogged = { context: { data: unknownFields(10_000) } };
  const deep = JSON.parse(`{"context":${'['.repeat(129)}${']'.repeat(129)}}`) as object;
  for (const task of [backlogged, deep]) {
    const alone = await clients.scope.request('POST', '/v1/tasks', { body: task });
    const among = await clients.scope.request('POST', '/v1/tasks/batch', { body: { tasks: [task] } });
    const [result] = among.as<{ results: { error: { errors: { pointer: string; message: string }[] } }[] }>()
      .results;
    const errors = result?.error.errors.map((one) => ({
      ...one,
      pointer: one.pointer.replace('/tasks/0', ''),
    }));
    expect(errors).toEqual(alone.problem.errors);
  }
});

test('items of an array over its limit, or of a body with enough faults, are not checked', () => {
  let visits = 0;
  const counted = (items: unknown[]) =>
    new Proxy(items, {
      get: (target, name) => {
        if (/^\d+$/.test(String(name))) visits += 1;
        return Reflect.get(target, name) as unknown;
      },
    });
  const check = bodyCheck(
    Type.Object({
      short: Type.Array(Type.String(), { maxItems: 3, uniqueItems: true }),
      any: Type.Optional(Type.Array(Type.String())),
    }),
  );
  const wrong = Array.from({ length: 10_000 }, () => 1);
  expect(check({ short: counted(wrong) })).toEqual([
    { pointer: '/short', message: 'must have at most 3 items' },
  ]);
  expect(visits).toBe(0);
  expect(check({ short: [], any: counted(wrong) })).toHaveLength(50);
  expect(visits).toBeLessThan(500);
});

test('rules do not run on parts that the schema refused', async () => {
  let visits = 0;
  const labels = Array.from({ length: 50_000 }, (_, index) => `label-${index}`);
  const body = {
    requirements: {
      skills: new Proxy(labels, {
        get: (target, name) => {
          if (/^\d+$/.test(String(name))) visits += 1;
          return Reflect.get(target, name) as unknown;
        },
      }),
      steps: [{ after_seconds: 1, requirements: { skills: ['a'] } }],
    },
  };
  const told = await allFaults(body, bodyCheck(TaskCreate)(body), async (given) =>
    stepErrors(memberOf(given, 'requirements')),
  );
  expect(told.map((one) => one.pointer)).toContain('/requirements/skills');
  expect(visits).toBe(0);
});

test('a body whose numbers would make the response many times as long is refused; doubling is accepted', async () => {
  const answers = (count: number) =>
    clients.scope.request('POST', '/v1/tasks', {
      raw: `${JSON.stringify(taskBody({ context: {} })).replace('"context":{}', `"context":{"data":{"n":[${Array(count).fill('1e20').join()}]}}`)}`,
    });
  expect((await answers(200)).status).toBe(201);
  const refused = await answers(50_000);
  expect(refused.problem.errors).toEqual([
    {
      pointer: '',
      message: 'contains numbers that become too long when they are written without an exponent',
    },
  ]);
});

test('the scan for inexact numbers takes at most 50 ms for a body of 256 KiB', () => {
  const filled = (item: string) =>
    `[1e1,${Array(Math.floor(BODY_LIMIT / (item.length + 1)))
      .fill(item)
      .join()}]`;
  const bodies = [
    ...['1', '1e1', '1e-1', '1e20', '1234567890123456', `1.${'0'.repeat(295)}e1`, '"1e1"', '{"a":1e1}'],
    ...[`1.${'0'.repeat(250_000)}`, `0.${'0'.repeat(250_000)}1`, `1e${'0'.repeat(250_000)}1`],
  ].map(filled);
  for (const body of bodies) {
    const costs = Array.from({ length: 4 }, () => {
      const before = process.cpuUsage();
      numberFaults(body, 50);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    });
    expect([body.slice(0, 30), Math.min(...costs) < 50]).toEqual([body.slice(0, 30), true]);
  }
});

test('refuses a body of more than 20 000 objects and arrays before it is parsed, whatever its texts hold', async () => {
  const withItems = (items: string) =>
    JSON.stringify(taskBody({ context: {} })).replace('"context":{}', `"context":{"data":{"a":${items}}}`);
  const [most, over] = [19_900, 20_001].map((count) => withItems(`[${Array(count).fill('[]').join()}]`));
  expect((await clients.scope.request('POST', '/v1/tasks', { raw: over ?? '' })).problem.errors).toEqual([
    { pointer: '', message: 'has more than 20000 objects and arrays' },
  ]);
  expect((await clients.scope.request('POST', '/v1/tasks', { raw: most ?? '' })).status).toBe(201);
  const text = withItems(JSON.stringify('[{"\\'.repeat(15_000)));
  expect((await clients.scope.request('POST', '/v1/tasks', { raw: text })).status).toBe(201);
});

test('refuses a name of more than 2048 characters at the object that holds it', async () => {
  const body = (length: number) => taskBody({ context: { data: { inner: { ['n'.repeat(length)]: 1 } } } });
  expect((await clients.scope.request('POST', '/v1/tasks', { body: body(2048) })).status).toBe(201);
  const refused = await clients.scope.request('POST', '/v1/tasks', { body: body(2049) });
  expect(refused.problem.errors).toEqual([
    { pointer: '/context/data/inner', message: 'has a name of more than 2048 characters' },
  ]);
});

test('fifty faults with one long name make a short response', async () => {
  const names = Array.from({ length: 60 }, (_, index) => `"${'n'.repeat(1900)}${index}":1`);
  const answer = await clients.scope.request('POST', '/v1/tasks', { raw: `{${names.join()}}` });
  expect(answer.status).toBe(422);
  expect(answer.problem.errors?.length).toBeGreaterThan(5);
  expect(answer.text.length).toBeLessThan(20_000);
});

test('queries report the first fifty faults, and only the length of a list over its limit', async () => {
  const many = Array.from({ length: 2000 }, (_, index) => `p${index}`);
  const unknown = await clients.scope.request('GET', `/v1/tasks?${many.join('&')}`);
  expect(unknown.problem.errors).toHaveLength(50);
  const list = await clients.scope.request('GET', `/v1/tasks?status=${many.join(',')}`);
  expect(list.problem.errors).toEqual([
    { pointer: '/status', parameter: 'status', message: 'must have at most 50 items' },
  ]);
});

test('shortened texts end at a whole character', async () => {
  const name = '\u{1f600}'.repeat(600);
  for (const shift of ['', 'a']) {
    const { text, problem } = await clients.scope.request('POST', '/v1/tasks', {
      body: { [shift + name]: 1 },
    });
    expect(problem.errors?.map((one) => one.pointer)).toContain(`/${shift}${name}`);
    expect(problem.detail.length).toBeGreaterThan(900);
    expect(text).not.toMatch(/\\ud[89a-f]/i);
  }
  for (const raw of [
    `{"a": "${name}`,
    `"${name}" ${name}`,
    `${name}`,
    `x${name}`,
    `{${name}`,
    `[1, ${name}`,
  ]) {
    const { text, status } = await clients.scope.request('POST', '/v1/tasks', { raw });
    expect(status).toBe(400);
    expect(text).not.toMatch(/\\ud[89a-f]/i);
  }
});

function unknownFields(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`unknown-${index}`, index]));
}
