// Lists: every filter, full and complete pages during concurrent writes, and cursors that are valid for one list only.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Client,
  createKey,
  createOrg,
  createPool,
  type EventView,
  freshName,
  type Page,
  startApi,
  type TaskView,
  type TestApi,
  waitUntil,
} from '../../../support/api.ts';
import { taskBody } from '../../../support/workers.ts';

let api: TestApi;
let client: Client;
let pools: string[];
let tasks: TaskView[];
let between: string;

const DOMAINS = ['security', 'legal', 'finance'];
const URGENCIES = ['low', 'normal', 'high', 'critical'];

beforeAll(async () => {
  api = await startApi();
  client = (await createOrg(api)).client;
  pools = [await createPool(client), await createPool(client)];
  tasks = [];
  for (let index = 0; index < 24; index += 1) {
    if (index === 12) {
      between = new Date(Date.parse(tasks[11]?.created_at ?? '') + 5).toISOString();
      await waitUntil(Date.parse(between) + 5);
    }
    const body = taskBody({
      origin: { product: `p${index % 2}`, request_id: index % 5 === 0 ? 'shared, or not' : freshName('r') },
      domain: DOMAINS[index % 3],
      task_type: `type_${index % 4}`,
      sla: { urgency: URGENCIES[index % 4] },
      requirements: index % 3 === 2 ? {} : { worker_pool_id: pools[index % 3] },
    });
    const task = await client.post<TaskView>('/v1/tasks', body);
    const cancelled = index % 6 === 0;
    tasks.push(cancelled ? await client.post<TaskView>(`/v1/tasks/${task.task_id}/cancel`) : task);
  }
});

afterAll(() => api.close());

function ids(list: readonly { task_id: string }[]): string[] {
  return list.map((one) => one.task_id);
}

function newestFirst(wanted: (task: TaskView) => boolean): string[] {
  return ids(tasks.filter(wanted)).toReversed();
}

/** Reads every page of a list and checks that all but the last are full. @param betweenPages runs after each page */
async function walk<T>(
  who: Client,
  path: string,
  limit: number,
  betweenPages: () => Promise<unknown> = async () => undefined,
): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < 100; pages += 1) {
    const query: string = `${path.includes('?') ? '&' : '?'}limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`;
    const page: Page<T> = await who.get<Page<T>>(path + query);
    expect(page.has_more).toBe(page.next_cursor !== null);
    if (page.has_more) expect(page.data).toHaveLength(limit);
    else expect(page.data.length).toBeLessThanOrEqual(limit);
    all.push(...page.data);
    if (!page.has_more) return all;
    cursor = page.next_cursor;
    await betweenPages();
  }
  throw new Error('the list does not end');
}

describe('filters of tasks', () => {
  const has =
    (field: string, ...values: unknown[]) =>
    (task: TaskView) =>
      values.includes(task[field]);
  const pool = (task: TaskView) => (task.requirements as { worker_pool_id?: string }).worker_pool_id;
  const urgency = (task: TaskView) => (task.sla as { urgency: string }).urgency;
  const cases: [string, () => string, (task: TaskView) => boolean][] = [
    ['nothing', () => '', () => true],
    ['status', () => 'status=cancelled', has('status', 'cancelled')],
    ['status, a list', () => 'status=cancelled,queued', () => true],
    ['status, repeated', () => 'status=cancelled&status=failed', has('status', 'cancelled')],
    ['status, none', () => 'status=completed', () => false],
    ['domain', () => 'domain=legal', has('domain', 'legal')],
    ['domain, a list', () => 'domain=legal,finance', has('domain', 'legal', 'finance')],
    ['domain, repeated and listed', () => 'domain=legal&domain=finance,security', () => true],
    ['domain, twice the same', () => 'domain=legal,legal', has('domain', 'legal')],
    ['urgency', () => 'urgency=high,low', (task) => ['high', 'low'].includes(urgency(task))],
    ['pool', () => `pool=${pools[0]}`, (task) => pool(task) === pools[0]],
    ['pool, a list', () => `pool=${pools.join()}`, (task) => pool(task) !== undefined],
    ['pool that is not there', () => 'pool=nowhere', () => false],
    ['task_type', () => 'task_type=type_1', has('task_type', 'type_1')],
    ['product', () => 'product=p1', (task) => task.origin.product === 'p1'],
    ['created_after', () => `created_after=${between}`, (task) => task.created_at > between],
    ['created_before', () => `created_before=${between}`, (task) => task.created_at < between],
    [
      'both times',
      () => `created_after=${tasks[3]?.created_at}&created_before=${between}`,
      (task) => task.created_at > (tasks[3]?.created_at ?? '') && task.created_at < between,
    ],
    [
      'several',
      () =>
        `status=queued&domain=security,legal&urgency=low&pool=${pools[0]}&product=p0&created_after=2020-01-01T00:00:00Z`,
      (task) => task.status === 'queued' && pool(task) === pools[0] && urgency(task) === 'low',
    ],
  ];

  test.each(cases)('%s', async (_name, query, wanted) => {
    const { data } = await client.get<Page<TaskView>>(`/v1/tasks?limit=200&${query()}`);
    expect(ids(data)).toEqual(newestFirst(wanted));
    const ascending = await client.get<Page<TaskView>>(`/v1/tasks?limit=200&order=asc&${query()}`);
    expect(ids(ascending.data)).toEqual(newestFirst(wanted).toReversed());
    expect(ids(await walk<TaskView>(client, `/v1/tasks?${query()}`, 3))).toEqual(newestFirst(wanted));
  });

  test('filters by request_id', async () => {
    const own = tasks[1]?.origin.request_id ?? '';
    const { data } = await client.get<Page<TaskView>>(`/v1/tasks?request_id=${own}`);
    expect(ids(data)).toEqual([tasks[1]?.task_id]);
  });

  test('free text is one value, commas included', async () => {
    const own = (await createOrg(api)).client;
    const products = ['Falk, Reyes & Söhne', 'Falk', ' Reyes & Söhne'];
    const made: TaskView[] = [];
    for (const product of products) {
      const origin = { product, request_id: product };
      made.push(await own.post<TaskView>('/v1/tasks', taskBody({ origin })));
    }
    for (const [index, text] of products.entries())
      for (const name of ['product', 'request_id']) {
        const { data } = await own.get<Page<TaskView>>(`/v1/tasks?${name}=${encodeURIComponent(text)}`);
        expect(ids(data)).toEqual([made[index]?.task_id]);
      }
    const two = products.slice(0, 2).map((text) => `product=${encodeURIComponent(text)}`);
    expect((await own.get<Page<TaskView>>(`/v1/tasks?${two.join('&')}`)).data).toHaveLength(2);
  });

  test.each([
    '2199-01-01T00:00:00%2B00',
    '2199-01-01T00:00:00%2B0530',
    '2199-02-30T00:00:00Z',
    '9999-12-31T23:59:59-08:00',
    'tomorrow',
  ])('%s is not a time and is refused, not ignored', async (text) => {
    for (const path of ['/v1/tasks?created_after=', '/v1/tasks?created_before=', '/v1/audit/export?from=']) {
      const answer = await client.request('GET', path + text);
      expect(answer.outcome).toBe('400 invalid_query');
      expect(answer.text).toContain('RFC 3339');
    }
  });

  test('a leap second counts as the moment after it', async () => {
    const { data } = await client.get<Page<TaskView>>(
      '/v1/tasks?created_after=2016-12-31T23:59:60Z&limit=200',
    );
    expect(data).toHaveLength(tasks.length);
  });

  test('a listed task equals the single task', async () => {
    const { data } = await client.get<Page<TaskView>>('/v1/tasks?limit=1');
    expect(data[0]).toEqual(await client.get(`/v1/tasks/${data[0]?.task_id}`));
  });

  test('a page has 50 tasks by default', async () => {
    const own = (await createOrg(api)).client;
    await Promise.all(Array.from({ length: 60 }, () => own.post('/v1/tasks', taskBody())));
    const page = await own.get<Page<TaskView>>('/v1/tasks');
    expect([page.data.length, page.has_more]).toEqual([50, true]);
    expect((await own.get<Page<TaskView>>('/v1/tasks?limit=200')).data).toHaveLength(60);
    expect((await own.get<Page<TaskView>>('/v1/tasks?limit=60')).has_more).toBe(false);
  });
});

describe('pages during writes', () => {
  test.each(['desc', 'asc'])('show every earlier task once and in order, %s', async (order) => {
    const own = (await createOrg(api)).client;
    for (let made = 0; made < 20; made += 1) await own.post('/v1/tasks', taskBody());
    const { data } = await own.get<Page<TaskView>>(`/v1/tasks?limit=200&order=${order}`);
    const there = ids(data);
    const insert = () => Promise.all([own.post('/v1/tasks', taskBody()), own.post('/v1/tasks', taskBody())]);
    const seen = ids(await walk<TaskView>(own, `/v1/tasks?order=${order}`, 4, insert));
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((id) => there.includes(id))).toEqual(there);
  });

  test('are not shifted when tasks leave the status of the list', async () => {
    const own = (await createOrg(api)).client;
    for (let made = 0; made < 12; made += 1) await own.post('/v1/tasks', taskBody());
    const there = ids((await own.get<Page<TaskView>>('/v1/tasks?limit=200')).data);
    const left: string[] = [];
    const cancelSeen = async () => {
      const next = there[left.length] ?? '';
      await own.post(`/v1/tasks/${next}/cancel`);
      left.push(next);
    };
    expect(ids(await walk<TaskView>(own, '/v1/tasks?status=queued', 2, cancelSeen))).toEqual(there);
    expect(left.length).toBeGreaterThan(3);
  });
});

describe('a cursor', () => {
  async function cursorOf(who: Client, path: string): Promise<string> {
    const { next_cursor } = await who.get<Page<unknown>>(path);
    if (next_cursor === null) throw new Error(`${path} has no further page`);
    return next_cursor;
  }

  test('fits its list, also with another limit', async () => {
    const cursor = await cursorOf(client, '/v1/tasks?domain=legal&limit=2');
    const answer = await client.request('GET', `/v1/tasks?domain=legal&limit=5&cursor=${cursor}`);
    expect(ids(answer.as<Page<TaskView>>().data)).toEqual(
      newestFirst((one) => one.domain === 'legal').slice(2, 7),
    );
  });

  test('fits the same filters in another order or spelling', async () => {
    const since = 'created_after=2020-01-01T00:00:00Z';
    const cursor = await cursorOf(client, `/v1/tasks?status=queued,cancelled&domain=legal&${since}&limit=1`);
    const query =
      'created_after=2020-01-01T01:00:00.000%2B01:00&domain=legal&status=cancelled&status=queued,queued';
    const answer = await client.request('GET', `/v1/tasks?${query}&limit=5&order=desc&cursor=${cursor}`);
    expect(ids(answer.as<Page<TaskView>>().data)).toEqual(
      newestFirst((one) => one.domain === 'legal').slice(1, 6),
    );
  });

  test.each([
    ['other filters', '/v1/tasks?domain=security'],
    ['no filters', '/v1/tasks?'],
    ['more filters', '/v1/tasks?domain=legal&urgency=high'],
    ['another order', '/v1/tasks?domain=legal&order=asc'],
    ['another list', '/v1/pools?'],
  ])('does not fit %s', async (_name, path) => {
    const cursor = await cursorOf(client, '/v1/tasks?domain=legal&limit=2');
    expect((await client.request('GET', `${path}&cursor=${cursor}`)).outcome).toBe('400 invalid_cursor');
  });

  test('does not fit another org, or a key that sees less', async () => {
    const cursor = await cursorOf(client, '/v1/tasks?limit=2');
    const other = (await createOrg(api)).client;
    const confined = await createKey(api, client, { pools: [pools[0] ?? ''] });
    for (const who of [other, confined])
      expect((await who.request('GET', `/v1/tasks?cursor=${cursor}`)).outcome).toBe('400 invalid_cursor');
  });

  test.each(['/v1/tasks', '/v1/pools', '/v1/workers', '/v1/api-keys', '/v1/events'])(
    'that was altered is refused or harmless, at %s',
    async (path) => {
      const own = await createOrg(api);
      for (let made = 0; made < 3; made += 1) {
        await createPool(own.client);
        await createKey(api, own.client);
        await own.client.post('/v1/workers', { name: 'w' });
        await own.client.post('/v1/tasks', taskBody());
      }
      const cursor = await cursorOf(own.client, `${path}?limit=1`);
      const [scope] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [string];
      for (const last of [
        '',
        '[',
        '(',
        '+',
        '-',
        '\u0000',
        'x'.repeat(500),
        '99999999999999999999-1',
        '1-x',
      ]) {
        const forged = Buffer.from(JSON.stringify([scope, last])).toString('base64url');
        const { outcome } = await own.client.request('GET', `${path}?cursor=${forged}`);
        expect(['200', '400 invalid_cursor']).toContain(outcome);
      }
    },
  );
});

describe('other lists', () => {
  const creators: [string, string, (who: Client) => Promise<string>][] = [
    ['/v1/pools', 'pool_id', createPool],
    [
      '/v1/workers',
      'worker_id',
      async (who) => (await who.post<{ worker_id: string }>('/v1/workers', { name: 'w' })).worker_id,
    ],
    [
      '/v1/api-keys',
      'key_id',
      async (who) =>
        (await who.post<{ key_id: string }>('/v1/api-keys', { name: 'k', scopes: ['*'] })).key_id,
    ],
  ];
  test.each(creators)('%s is ordered by creation, newest first, in pages', async (path, field, create) => {
    const own = (await createOrg(api)).client;
    const made: string[] = [];
    for (let count = 0; count < 7; count += 1) {
      made.push(await create(own));
      await waitUntil(Date.now());
    }
    const shown = (list: Record<string, string>[]) =>
      list.map((one) => one[field] ?? '').filter((id) => made.includes(id));
    expect(shown(await walk(own, path, 2))).toEqual(made.toReversed());
    expect(shown(await walk(own, `${path}?order=asc`, 3))).toEqual(made);
  });

  test("a task's history has pages in both orders", async () => {
    const path = `/v1/tasks/${tasks[0]?.task_id}/events`;
    const sequences = (list: EventView[]) => list.map((one) => one.sequence);
    expect(sequences(await walk<EventView>(client, path, 1))).toEqual([1, 2, 3]);
    expect(sequences(await walk<EventView>(client, `${path}?order=desc`, 2))).toEqual([3, 2, 1]);
  });
});

describe('GET /v1/events', () => {
  type FeedEvent = EventView & { task_id: string };

  test('returns all events in order, filtered by type, and continues from its cursor', async () => {
    const own = (await createOrg(api)).client;
    const made: string[] = [];
    for (let count = 0; count < 5; count += 1)
      made.push((await own.post<TaskView>('/v1/tasks', taskBody())).task_id);
    const all = await walkFeed(own, '/v1/events?limit=3');
    expect(all.events.map((one) => `${one.task_id} ${one.type}`)).toEqual(
      made.flatMap((id) => [`${id} task.created`, `${id} task.queued`]),
    );
    await own.post(`/v1/tasks/${made[2]}/cancel`);
    const later = await own.get<Page<FeedEvent>>(`/v1/events?cursor=${all.cursor}`);
    expect(later.data.map((one) => [one.task_id, one.type])).toEqual([[made[2], 'task.cancelled']]);
    const some = await walkFeed(own, '/v1/events?types=task.cancelled,task.created&limit=2');
    expect(some.events.map((one) => one.type)).toEqual([...made.map(() => 'task.created'), 'task.cancelled']);
    const history = await own.get<Page<EventView>>(`/v1/tasks/${made[2]}/events`);
    const { task_id: _task, ...entry } = later.data[0] ?? { task_id: '' };
    expect(entry).toEqual(history.data[2]);
  });

  test('returns the events of a period, and continues from its cursor', async () => {
    const own = (await createOrg(api)).client;
    const made: TaskView[] = [];
    for (let count = 0; count < 4; count += 1) {
      made.push(await own.post<TaskView>('/v1/tasks', taskBody()));
      await waitUntil(Date.now() + 1);
    }
    const [first, second, third, fourth] = made.map((one) => one.created_at);
    const idsOf = (list: FeedEvent[]) => [...new Set(list.map((one) => one.task_id))];
    const wanted = (...indexes: number[]) => indexes.map((index) => made[index]?.task_id);
    const within = await walkFeed(own, `/v1/events?since=${second}&until=${fourth}&limit=1`);
    expect(idsOf(within.events)).toEqual(wanted(1, 2));
    const rest = await own.request('GET', `/v1/events?cursor=${within.cursor}`);
    expect(rest.outcome).toBe('400 invalid_cursor');
    const sinceThird = await walkFeed(own, `/v1/events?since=${third}&limit=1`);
    expect(idsOf(sinceThird.events)).toEqual(wanted(2, 3));
    await own.post(`/v1/tasks/${made[0]?.task_id}/cancel`);
    const later = await own.get<Page<FeedEvent>>(`/v1/events?cursor=${sinceThird.cursor}`);
    expect(later.data.map((one) => one.type)).toEqual(['task.cancelled']);
    expect((await walkFeed(own, `/v1/events?until=${first}`)).events).toEqual([]);
    const wrong = await own.request('GET', '/v1/events?since=yesterday');
    expect([wrong.outcome, wrong.problem.errors?.[0]?.message]).toEqual([
      '400 invalid_query',
      expect.stringContaining('such as 2026-03-01T09:30:00Z'),
    ]);
  });

  /** Follows the feed to its end. */
  async function walkFeed(
    who: Client,
    path: string,
  ): Promise<{ events: FeedEvent[]; cursor: string | null }> {
    const events: FeedEvent[] = [];
    let cursor: string | null = null;
    for (let pages = 0; pages < 50; pages += 1) {
      const page: Page<FeedEvent> = await who.get<Page<FeedEvent>>(
        path + (cursor === null ? '' : `&cursor=${cursor}`),
      );
      events.push(...page.data);
      cursor = page.next_cursor;
      if (!page.has_more) return { events, cursor };
    }
    throw new Error('the feed does not end');
  }
});
