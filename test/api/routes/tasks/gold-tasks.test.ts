// Gold tasks of a type, by REST: how many come with real ones, what workers and integrators see of them, what counts.
import { describe, expect, it, test } from 'vitest';
import {
  createKey,
  createOrg,
  createPool,
  type EventView,
  freshName,
  type OfferView,
  type Page,
  startApiOfFile,
  type TaskView,
} from '../../../support/api.ts';
import { startCallbackReceiver } from '../../../support/callback-receiver.ts';
import { listen } from '../../../support/events.ts';
import { walk, walkThrough } from '../../../support/walk-through.ts';
import { createTestWorker, type TestWorker } from '../../../support/workers.ts';

const { api, org } = await startApiOfFile({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });

const ITEMS = [{ title: 'Look there', context: { data: { row: 7 } }, output: { seen: true } }];
const TYPE = {
  domain: 'security',
  title: 'Look here',
  instructions: 'Look at it.',
  context: { data: { row: 1 } },
  sla: { urgency: 'high', target_latency_seconds: 600 },
  // Of nobody, unless a test says otherwise.
  requirements: { skills: ['skill_of_nobody'] },
  output: { expected_format: 'structured_json', schema: { seen: 'boolean' }, review: { mode: 'manual' } },
};

/** Registers a task type. @returns its name */
async function typeOf(fields: object, client = org.client): Promise<string> {
  const name = freshName('type').replaceAll('-', '_');
  await client.request('PUT', `/v1/task-types/${name}`, { body: { ...TYPE, ...fields } });
  return name;
}
const withGold = (gold_rate: number) => ({ gold_rate, gold_tasks: ITEMS });
const body = (task_type: string, fields: object = {}) => ({
  origin: { product: 'tests', request_id: freshName('request') },
  task_type,
  ...fields,
});
const create = (task_type: string, fields: object = {}) =>
  org.client.post<TaskView>('/v1/tasks', body(task_type, fields));
const list = async (query: string, client = org.client) =>
  (await client.get<Page<TaskView>>(`/v1/tasks?${query}`)).data;
const idsOf = (tasks: readonly TaskView[]) => tasks.map((one) => one.task_id);

/** The gold task that came with a task. */
async function goldOf({ origin }: TaskView): Promise<TaskView> {
  const [found, ...others] = await list(`gold=true&request_id=${origin.request_id}`);
  if (found === undefined || others.length > 0) throw new Error('there is not one gold task');
  return found;
}

/** The form of a value: names and types, without the values. */
function formOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(formOf);
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value;
  return Object.entries(value).map(([name, one]) => [name, formOf(one)]);
}

async function stage(fields: Record<string, unknown> = {}) {
  const pool = await createPool(org.client);
  const person = await createTestWorker(api, org.client, { pool_ids: [pool], capacity: 2, ...fields });
  return { pool, person, requirements: { worker_pool_id: pool, skills: [] } };
}

test('runs the walk-through of the document', async () => {
  const { pool, person } = await stage();
  await walk(
    walkThrough('supervision.md', 'Gold tasks'),
    { requester: org.client, worker: person.client },
    { pool_id: pool, worker_id: person.worker_id },
  );
});

describe('a task type', () => {
  it('shows its gold tasks, and a change of them is a new version', async () => {
    const name = await typeOf(withGold(0.1));
    const path = `/v1/task-types/${name}`;
    expect(await org.client.get(path)).toMatchObject({ version: 1, ...TYPE, ...withGold(0.1) });
    const put = (fields: object) => org.client.request('PUT', path, { body: { ...TYPE, ...fields } });
    expect((await put(withGold(0.1))).as<{ version: number }>().version).toBe(1);
    expect((await put(withGold(0.2))).as<{ version: number }>().version).toBe(2);
    expect(await org.client.get(`${path}/versions/1`)).toMatchObject(withGold(0.1));
    const plain = (await put({})).as<Record<string, unknown>>();
    expect([plain.version, 'gold_rate' in plain, 'gold_tasks' in plain]).toEqual([3, false, false]);
  });

  const faults: [string, object, string[]][] = [
    ['a rate alone', { gold_rate: 0.1 }, ['/gold_tasks']],
    ['gold tasks alone', { gold_tasks: ITEMS }, ['/gold_rate']],
    ['a rate above 1', { ...withGold(1.1) }, ['/gold_rate']],
    ['no gold task', { gold_rate: 1, gold_tasks: [] }, ['/gold_tasks']],
    [
      'more than 100',
      { gold_rate: 1, gold_tasks: Array.from({ length: 101 }, () => ITEMS[0]) },
      ['/gold_tasks'],
    ],
    [
      'answers that break the schema',
      { gold_rate: 1, gold_tasks: [...ITEMS, { output: { seen: 'yes' } }, { output: {} }] },
      ['/gold_tasks/1/output/seen', '/gold_tasks/2/output/seen'],
    ],
    ['an item without an answer', { gold_rate: 1, gold_tasks: [{}] }, ['/gold_tasks/0/output']],
    ['no schema', { ...withGold(1), output: { expected_format: 'structured_json' } }, ['/output/schema']],
    ['no format', { ...withGold(1), output: {} }, ['/output/expected_format']],
    [
      'no title',
      { ...withGold(1), title: undefined, gold_tasks: [{ output: { seen: true } }] },
      ['/gold_tasks/0/title'],
    ],
  ];
  it.each(faults)('is refused with %s', async (_, fields, pointers) => {
    const answer = await org.client.request('PUT', `/v1/task-types/${freshName('t').replaceAll('-', '_')}`, {
      body: { ...TYPE, ...fields },
    });
    expect([answer.status, answer.problem.errors?.map((one) => one.pointer)]).toEqual([422, pointers]);
  });
});

describe('a create', () => {
  it('brings one gold task with a rate of 1, none with 0, and its answer does not say so', async () => {
    const always = await typeOf(withGold(1));
    const tasks = await Promise.all(Array.from({ length: 5 }, () => create(always)));
    expect(await list(`gold=true&task_type=${always}`)).toHaveLength(5);
    for (const task of tasks) {
      expect(JSON.stringify(task)).not.toContain('gold');
      expect(await goldOf(task)).toMatchObject({
        gold: true,
        title: 'Look there',
        context: { data: { row: 7 } },
        instructions: TYPE.instructions,
        task_type_version: 1,
        output: { gold: { output: { seen: true } }, review: { mode: 'auto' } },
      });
    }
    const never = await typeOf(withGold(0));
    await create(never);
    expect(await list(`gold=true&task_type=${never}`)).toEqual([]);
    // A body that names an older version gets the gold tasks of that version.
    await org.client.request('PUT', `/v1/task-types/${always}`, { body: TYPE });
    await create(always);
    const old = await create(always, { task_type_version: 1 });
    expect(await list(`gold=true&task_type=${always}`)).toHaveLength(6);
    expect((await goldOf(old)).task_type_version).toBe(1);
  });

  it('that is repeated brings no second one, also in a batch', async () => {
    const type = await typeOf(withGold(1));
    const headers = () => ({ 'Idempotency-Key': freshName('key') });
    const one = { body: body(type), headers: headers() };
    const first = await org.client.request('POST', '/v1/tasks', one);
    expect((await org.client.request('POST', '/v1/tasks', one)).text).toBe(first.text);
    expect(await list(`gold=true&task_type=${type}`)).toHaveLength(1);
    const many = { body: { tasks: [body(type), body(type), { task_type: type }] }, headers: headers() };
    const batch = await org.client.request('POST', '/v1/tasks/batch', many);
    expect((await org.client.request('POST', '/v1/tasks/batch', many)).text).toBe(batch.text);
    expect(batch.as<{ results: { status: number }[] }>().results.map((r) => r.status)).toEqual([
      201, 201, 422,
    ]);
    expect(await list(`gold=true&task_type=${type}`)).toHaveLength(3);
    expect(await list(`task_type=${type}`)).toHaveLength(3);
  });

  it('with copies brings a single gold task', async () => {
    const type = await typeOf(withGold(1));
    const copies = { count: 3, agreement: { mode: 'majority' } };
    const task = await create(type, { output: { copies, review: { mode: 'auto' } } });
    expect((await goldOf(task)).output).not.toHaveProperty('copies');
  });

  it('counts both towards the quota of open tasks', async () => {
    const { org_id, client } = await createOrg(api);
    const type = await typeOf(withGold(1), client);
    await api.operator.request('PATCH', `/admin/orgs/${org_id}`, { body: { quotas: { open_tasks: 3 } } });
    const post = () => client.request('POST', '/v1/tasks', { body: body(type) });
    await expect
      .poll(async () => (await client.get<{ usage: object }>('/v1/org')).usage)
      .toMatchObject({
        open_tasks: { used: 0, limit: 3 },
      });
    expect((await post()).outcome).toBe('201');
    expect((await post()).outcome).toBe('422 quota_exceeded');
    expect(await list('gold=true', client)).toHaveLength(1);
  });
});

/** Does the task of the worker's only offer. @returns the offer and every response */
async function does({ client }: TestWorker): Promise<{ offer: OfferView; seen: unknown[] }> {
  const { data } = await client.get<Page<OfferView>>('/v1/worker/offers?wait=30');
  const [offer] = data;
  if (offer === undefined) throw new Error('no offer');
  const seen: unknown[] = [offer];
  const see = async (method: string, path: string, given?: object) => {
    const answer = await client.request(method, path, given && { body: given });
    seen.push(JSON.parse(answer.text));
  };
  const path = `/v1/worker/tasks/${offer.task_id}`;
  await see('POST', `/v1/worker/offers/${offer.offer_id}/accept`);
  await see('GET', path);
  await see('POST', `${path}/start`);
  await see('PUT', `${path}/draft`, { output: { seen: true } });
  await see('POST', `${path}/messages`, { text: 'hello' });
  await see('GET', `${path}/messages`);
  const tasks = await client.get<Page<TaskView>>('/v1/worker/tasks');
  seen.push(tasks.data.filter((one) => one.task_id === offer.task_id));
  await see('POST', `${path}/submit`, { output: { seen: true } });
  return { offer, seen };
}

describe('a worker', () => {
  it('sees the same of a gold task as of the real one, in every response and in the stream', async () => {
    const { person, requirements } = await stage();
    const stream = await listen(person.client, '/v1/worker/stream');
    const type = await typeOf(withGold(1));
    const deadline = '2099-01-01T00:00:00Z';
    const real = await create(type, {
      requirements,
      sla: { urgency: 'low', deadline },
      metadata: { a: 'b' },
    });
    const gold = await goldOf(real);
    const done = [await does(person), await does(person)];
    const doneOf = ({ task_id }: TaskView) => {
      const found = done.find(({ offer }) => offer.task_id === task_id);
      if (found === undefined) throw new Error(`${task_id} was not offered`);
      return found;
    };
    const [ofReal, ofGold] = [doneOf(real), doneOf(gold)];
    expect(formOf(ofGold.seen)).toEqual(formOf(ofReal.seen));
    expect(JSON.stringify(done)).not.toMatch(/gold|came_with/);
    const shown = ({ offer }: { offer: OfferView }) => {
      const {
        task_id: _id,
        title: _title,
        context: _context,
        updated_at: _at,
        ...rest
      } = offer.task as TaskView;
      return rest;
    };
    expect(shown(ofGold)).toEqual(shown(ofReal));
    expect(shown(ofGold)).toMatchObject({ output: { review: { mode: 'manual' } } });
    expect(JSON.stringify(ofGold)).not.toContain(real.task_id);
    // The accuracy counts the gold task, which no reviewer has to look at.
    expect(await org.client.get(`/v1/tasks/${gold.task_id}?wait=30`)).toMatchObject({ status: 'completed' });
    expect(await org.client.get(`/v1/workers/${person.worker_id}`)).toMatchObject({
      accuracy: 1,
      accuracy_count: 1,
    });
    // The stream tells the same of both until they are submitted.
    const told: { event: string; text: string; form: unknown }[] = [];
    const of = (id: string) => told.filter(({ text }) => text.includes(id)).slice(0, 2);
    while (of(real.task_id).length < 2 || of(gold.task_id).length < 2) {
      const { event, data } = await stream.next();
      told.push({ event, text: JSON.stringify(data), form: formOf(data) });
    }
    stream.close();
    const forms = (id: string) => of(id).map(({ event, form }) => [event, form]);
    expect(forms(gold.task_id)).toEqual(forms(real.task_id));
    for (const { text } of told) expect(text).not.toMatch(/gold|came_with/);
  });
});

describe('the integrator', () => {
  it('lists gold tasks when asked, or when somebody has to act, and may change them', async () => {
    const { person, requirements } = await stage();
    const type = await typeOf(withGold(1));
    const real = await create(type, { requirements });
    const gold = await goldOf(real);
    const both = [real.task_id, gold.task_id].sort();
    const query = `task_type=${type}`;
    expect(idsOf(await list(query))).toEqual([real.task_id]);
    expect(idsOf(await list(`${query}&gold=false&status=queued,offered`))).toEqual([real.task_id]);
    expect(idsOf(await list(`${query}&gold=true`))).toEqual([gold.task_id]);
    const pool = requirements.worker_pool_id;
    expect(idsOf(await list(`pool=${pool}&gold=true&status=queued,offered&domain=security`))).toEqual([
      gold.task_id,
    ]);
    expect(idsOf(await list(`pool=another&gold=true`))).toEqual([]);
    expect(idsOf(await list('gold=true&limit=200'))).toContain(gold.task_id);
    expect(idsOf(await list('limit=200'))).not.toContain(gold.task_id);
    const confined = await createKey(api, org.client, { pools: [pool] });
    expect(idsOf(await list('gold=true', confined))).toEqual([gold.task_id]);

    for (const { task_id } of [real, gold]) {
      await org.client.post(`/v1/tasks/${task_id}/assign`, { worker_id: person.worker_id, mode: 'assign' });
      const question = { text: 'Which one?', question: true };
      await person.client.post(`/v1/worker/tasks/${task_id}/messages`, question);
    }
    expect(idsOf(await list(`${query}&has_open_question=true`)).sort()).toEqual(both);
    expect(idsOf(await list(`${query}&has_open_question=true&gold=false`))).toEqual([real.task_id]);
    const assigned = `assigned_to=${person.worker_id}`;
    expect(idsOf(await list(assigned))).toEqual([real.task_id]);
    const count = (filter: object) =>
      org.client.request('POST', '/v1/bulk-actions', { body: { action: 'cancel', filter, dry_run: true } });
    const by = { task_type: [type] };
    expect((await count(by)).as<object>()).toMatchObject({ matched: 2 });
    expect((await count({ ...by, gold: true })).as<object>()).toMatchObject({ matched: 1 });
    expect((await count({ ...by, gold: false })).as<object>()).toMatchObject({ matched: 1 });
    await org.client.post(`/v1/tasks/${gold.task_id}/cancel`);
    expect(await org.client.get(`/v1/tasks/${real.task_id}`)).toMatchObject({ status: 'accepted' });
  });

  it('gets no webhook and no event of them, and their history on request; no number counts them', async () => {
    const { client } = await createOrg(api);
    const receiver = await startCallbackReceiver();
    await client.post('/v1/webhook-endpoints', {
      url: receiver.url,
      events: ['task.created', 'task.cancelled'],
    });
    const type = await typeOf({ ...withGold(1), handoff: { callback_url: receiver.url } }, client);
    const real = await client.post<TaskView>('/v1/tasks', body(type));
    const [gold] = await list('gold=true', client);
    if (gold === undefined) throw new Error('no gold task');
    expect(gold).not.toHaveProperty('handoff');
    for (const one of [gold, real]) await client.post(`/v1/tasks/${one.task_id}/cancel`);
    await expect.poll(() => receiver.received.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    const events = await client.request('GET', '/v1/events?limit=200');
    expect(events.text).toContain(real.task_id);
    expect(events.text).not.toContain(gold.task_id);
    const history = await client.get<Page<EventView>>(`/v1/tasks/${gold.task_id}/events`);
    expect(history.data.map((one) => one.type)).toEqual(['task.created', 'task.queued', 'task.cancelled']);
    for (const one of receiver.received) expect(one.body).not.toContain(gold.task_id);
    for (const by of ['domain', 'task_type', 'urgency']) {
      const { totals } = await client.get<{ totals: object[] }>(`/v1/stats?group_by=${by}`);
      expect(totals).toEqual([expect.objectContaining({ created: 1, cancelled: 1 })]);
    }
    const { totals } = await client.get<{ totals: object[] }>('/v1/stats');
    expect(totals).toEqual([expect.objectContaining({ created: 1, cancelled: 1 })]);
  });
});
