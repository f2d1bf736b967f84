// The baseline of a create: the same body through Koa, its schema through Ajv, and one EVALSHA that writes a
// hash of ten fields, three sorted sets and a stream. No credential, no rules, no history.

import type { AddressInfo } from 'node:net';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { Redis } from 'ioredis';
import Koa from 'koa';
import getRawBody from 'raw-body';
import { v7 } from 'uuid';
import { TaskCreate } from '../src/api/routes/tasks.schema.ts';

interface WithBare {
  bareCreate(...args: (string | number)[]): Promise<unknown>;
}

const redis = new Redis(process.env.REDIS_URL ?? '') as Redis & WithBare;
redis.defineCommand('bareCreate', {
  numberOfKeys: 5,
  lua: `
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('ZADD', KEYS[4], 0, ARGV[1])
redis.call('XADD', KEYS[5], '*', 'id', ARGV[1])
return 1`,
});
const ajv = new Ajv2020({ allErrors: true, discriminator: true });
ajvFormats.default(ajv);
const validate = ajv.compile(TaskCreate);

const app = new Koa();
app.use(async (ctx) => {
  const raw = await getRawBody(ctx.req, { limit: 256 * 1024 });
  const body: unknown = JSON.parse(raw.toString());
  if (!validate(body)) {
    ctx.status = 422;
    return;
  }
  const id = v7();
  const text = JSON.stringify(body);
  const fields = ['1', '2', '3', '4', '5', '6', '7', '8', '9'].flatMap((name) => [name, id]);
  await redis.bareCreate(
    `bare:{b}:${id}`,
    'bare:{b}:a',
    'bare:{b}:b',
    'bare:{b}:c',
    'bare:{b}:s',
    id,
    ...fields,
    'body',
    text,
  );
  ctx.status = 201;
  ctx.body = { id, ...(body as object) };
});
const server = app.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ msg: 'ready', url: `http://127.0.0.1:${port}` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
