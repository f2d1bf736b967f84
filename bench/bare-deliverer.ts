// The baseline of a delivery: a BullMQ job, an HMAC over the body and one HTTP POST, without records and address checks.

import { createHmac } from 'node:crypto';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { Agent, request } from 'undici';

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
  { connection, concurrency: 200, prefix: '{bare}', removeOnComplete: { count: 100 } },
);
await worker.waitUntilReady();
process.stdout.write(`${JSON.stringify({ msg: 'ready' })}\n`);
process.on('SIGTERM', () => process.exit(0));
