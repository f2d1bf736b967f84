// The baselines of a worker process. A delivery is a BullMQ job, an HMAC over the body and one HTTP POST, without records and
// address checks; a job of a life writes one change.

import { createHmac } from 'node:crypto';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { Agent, request } from 'undici';
import { changeWriter, QUEUE, QUEUE_PREFIX } from './bare-life.ts';

const connection = new Redis(process.env.REDIS_URL ?? '', { maxRetriesPerRequest: null });
const url = process.env.TARGET ?? '';
const dispatcher = new Agent({ connections: 64, pipelining: 1 });
const worker = new Worker(
  'bare',
  async (job) => {
    const body = JSON.stringify(job.data);
    const signature = createHmac('sha256', 'secret').update(`${job.id}.${body}`).digest('base64');
    const answer = await request(url, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/json', 'webhook-signature': `v1,${signature}` },
      body,
    });
    await answer.body.dump();
  },
  { connection, concurrency: 200, prefix: QUEUE_PREFIX, removeOnComplete: { count: 400 } },
);
const writeChange = changeWriter(new Redis(process.env.REDIS_URL ?? ''));
const changes = new Worker<{ id: string }>(QUEUE, (job) => writeChange(job.data.id, job.name), {
  connection,
  concurrency: 50,
  prefix: QUEUE_PREFIX,
  removeOnComplete: { count: 100 },
});
await Promise.all([worker.waitUntilReady(), changes.waitUntilReady()]);
process.stdout.write(`${JSON.stringify({ msg: 'ready' })}\n`);
process.on('SIGTERM', () => process.exit(0));
