// The baselines of a web process. `POST /same` is a create: the same body through Koa, its schema through Ajv, and one EVALSHA
// that writes what a create writes: the record, its hash-chained history, all indexes, the matching queue, the due time, the
// feed and the outbox; without credentials, limits, rules, idempotency, metrics, errors and layers. `GET /tasks/:id` is one
// HMGET, and `POST /life/:step/:id` a change of a task with its jobs (bare-life.ts).

import { hash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import Router from '@koa/router';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import Koa from 'koa';
import getRawBody from 'raw-body';
import type { Static } from 'typebox';
import { v7 } from 'uuid';
import { withoutNames } from '../src/api/http/validation.ts';
import { TaskCreate } from '../src/api/routes/tasks/task-input.schema.ts';
import { changeWriter, LIFE_REQUESTS, QUEUE, QUEUE_PREFIX } from './bare-life.ts';

type Body = Static<typeof TaskCreate>;

interface WithBare {
  bareSame(...args: (string | number)[]): Promise<unknown>;
}

const redis = new Redis(process.env.REDIS_URL ?? '', { maxRetriesPerRequest: null }) as Redis & WithBare;
// KEYS: task, history, matching queue, matching queues, due, feed, outbox, changes, then the indexes.
redis.defineCommand('bareSame', {
  numberOfKeys: 16,
  lua: `
if redis.call('HGET', KEYS[1], 'v') then return 0 end
redis.call('HSET', KEYS[1], 'v', 1, 's', ARGV[2], 'h', ARGV[3], 'i', ARGV[4])
redis.call('RPUSH', KEYS[2], ARGV[5], ARGV[6])
redis.call('ZADD', KEYS[3], 0, ARGV[7])
redis.call('ZADD', KEYS[4], 0, ARGV[8])
redis.call('ZADD', KEYS[5], ARGV[9], ARGV[1])
redis.call('XADD', KEYS[6], 'MINID', '~', ARGV[10], '*', 't', ARGV[1], 's', 1, 'e', 'created,queued')
redis.call('XADD', KEYS[7], '*', 'd', ARGV[11])
redis.call('SPUBLISH', KEYS[8], ARGV[1])
for i = 9, 16 do redis.call('ZADD', KEYS[i], 0, ARGV[1]) end
return 1`,
});
const ajv = new Ajv2020({ allErrors: true, discriminator: true });
ajvFormats.default(ajv);
const validate = ajv.compile<Body>(withoutNames(TaskCreate));
const sha256 = (text: string) => hash('sha256', text, 'hex');

async function writeSame(id: string, text: string, body: Body): Promise<void> {
  const now = Date.now();
  const at = new Date(now).toISOString();
  const { skills, certifications, worker_pool_id: pool, ...levels } = body.requirements ?? {};
  const created = [v7(), 'task.created', 'created', null, at, 'bare', 1, {}];
  const first = sha256(JSON.stringify([...created, null]));
  const queued = [v7(), 'task.queued', 'queued', 'created', at, 'bare', 1, { reason: 'created' }];
  const head = sha256(JSON.stringify([...queued, first]));
  const requirements = JSON.stringify({ skills, certifications, ...levels, worker_pool_id: pool });
  const matchingQueue = sha256(requirements).slice(0, 16);
  const deadline = Date.parse(body.sla.deadline ?? '');
  const late = now + 1000 * (body.sla.target_latency_seconds ?? 0);
  const state = {
    status: 'queued',
    sequence: 2,
    attempt: 1,
    created_at: now,
    updated_at: now,
    status_changed_at: now,
    step: 0,
    completed_at: null,
    offers: [],
    declines: [],
    assignment: null,
    submission: null,
    reviews: [],
    breaches: [],
    failure: null,
    cancellation: null,
  };
  const scheduled = [
    { kind: 'target_latency', at: late },
    { kind: 'deadline', at: deadline },
    { kind: 'match', at: now, after: null },
  ];
  const entry = {
    kind: 'task',
    org_id: 'b',
    task_id: id,
    version: 1,
    scheduled,
    cancelled: [],
    deliveries: [],
    events: ['created', 'queued'],
    first: 1,
    at: now,
    pool,
  };
  const { domain, task_type, sla, origin } = body;
  await redis.bareSame(
    `same:{b}:task:${id}`,
    `same:{b}:history:${id}`,
    `same:{b}:queue:${matchingQueue}`,
    'same:{b}:queues',
    'same:{b}:due',
    'same:{b}:feed',
    'same:{b}:outbox',
    'same:{b}:changes',
    'same:{b}:index:all',
    'same:{b}:index:status:queued',
    `same:{b}:index:domain:${domain}`,
    `same:{b}:index:task_type:${task_type}`,
    `same:{b}:index:urgency:${sla.urgency}`,
    `same:{b}:index:product:${origin.product}`,
    `same:{b}:index:request_id:${origin.request_id}`,
    `same:{b}:index:pool:${pool}`,
    id,
    JSON.stringify(state),
    head,
    text,
    JSON.stringify([...created, first]),
    JSON.stringify([...queued, head]),
    `1${deadline}:${id}`,
    `${matchingQueue} ${requirements}`,
    late,
    now - 30 * 24 * 3600_000,
    JSON.stringify(entry),
  );
}

const writeChange = changeWriter(redis);
const [life, deliveries] = [QUEUE, 'bare'].map(
  (name) => new Queue(name, { connection: redis, prefix: QUEUE_PREFIX }),
) as [Queue, Queue];

async function create(ctx: Koa.Context) {
  const raw = await getRawBody(ctx.req, { limit: 256 * 1024 });
  const body: unknown = JSON.parse(raw.toString());
  if (!validate(body)) {
    ctx.status = 422;
    return;
  }
  const id = v7();
  await writeSame(id, JSON.stringify(body), body);
  ctx.status = 201;
  ctx.body = { id, ...body };
}

const router = new Router();
router.post('/same', create);
router.get('/tasks/:id', async (ctx) => {
  const [body] = await redis.hmget(`bare:{b}:${ctx.params.id}`, 'body', 'v');
  ctx.body = JSON.parse(body ?? 'null');
});
// One request of a life, with its jobs, and deliveries where the query asks for them.
for (const { step, jobs, events } of LIFE_REQUESTS)
  router.post(`/life/${step}/:id`, async (ctx) => {
    const body: unknown = JSON.parse((await getRawBody(ctx.req)).toString());
    const { id } = ctx.params;
    await writeChange(String(id), step);
    if (jobs.length > 0) await life.addBulk(jobs.map((name) => ({ name, data: { id } })));
    if (ctx.query.webhooks !== undefined && events > 0)
      await deliveries.addBulk(
        Array.from({ length: events }, () => ({
          name: 'deliver',
          data: { type: step, timestamp: new Date().toISOString(), data: body },
        })),
      );
    ctx.body = body;
  });
const app = new Koa();
app.use(router.routes());
const server = app.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ msg: 'ready', url: `http://127.0.0.1:${port}` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
