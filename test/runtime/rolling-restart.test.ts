// A web process that is replaced under load: no request fails, for clients that repeat only refused connections.
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { freePort, startOwnRedis } from '../support/own-redis.ts';
import { startProcess } from '../support/processes.ts';
import { taskBody } from '../support/workers.ts';

const OPERATOR_TOKEN = 'operator-token-of-the-tests';
const RESTARTS = 2;
const CLIENTS = 8;
/** Requests between two restarts. */
const BETWEEN = 100;

test('no request fails while a web process is replaced', { timeout: 60_000 }, async () => {
  const redis = await startOwnRedis();
  onTestFinished(() => redis.stop());
  const port = await freePort();
  const env = {
    REDIS_URL: redis.url,
    PORT: String(port),
    SECRETS_KEY: Buffer.alloc(32, 3).toString('base64'),
    OPERATOR_TOKEN,
    LOG_LEVEL: 'info',
  };
  const start = async () => {
    const web = startProcess(process.execPath, ['dist/src/web.js'], env);
    await web.ready;
    return web;
  };
  let web = await start();
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: CLIENTS, pipelining: 1 });
  onTestFinished(() => pool.destroy());
  const post = async (path: string, credential: string, body: unknown) => {
    for (;;)
      try {
        const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json' };
        const answer = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) });
        return { status: answer.statusCode, text: await answer.body.text() };
      } catch (error) {
        if (Reflect.get(error as object, 'code') !== 'ECONNREFUSED')
          return { status: 0, text: String(error) };
        await sleep(20);
      }
  };
  const made = await post('/admin/orgs', OPERATOR_TOKEN, { name: 'Restarts' });
  const key = String(JSON.parse(made.text).api_key);
  let [created, isOver] = [0, false];
  const failed: unknown[] = [];
  const client = async () => {
    while (!isOver && failed.length < 10) {
      const answer = await post('/v1/tasks', key, taskBody());
      if (answer.status === 201) created += 1;
      else failed.push(answer);
    }
  };
  const clients = Array.from({ length: CLIENTS }, client);
  const more = async () => {
    const wanted = created + BETWEEN;
    await expect.poll(() => created >= wanted || failed.length > 0, { timeout: 20_000 }).toBe(true);
  };
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    await more();
    web.process.kill('SIGTERM');
    expect(await web.ended).toMatchObject({ code: 0 });
    web = await start();
  }
  await more();
  isOver = true;
  await Promise.all(clients);
  expect(failed).toEqual([]);
});
