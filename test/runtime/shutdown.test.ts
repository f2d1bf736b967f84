// The shutdown of a web process waits for requests, not for connections; that of processors does not wait for lost ones.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startProcessors } from '../../src/processors/processors.ts';
import { readTopology } from '../../src/store/redis/topology.ts';
import { createOrg, startApi, type TestApi } from '../support/api.ts';
import { listen } from '../support/events.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { ERRORS_ONLY, sealer } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';

/** Opens a connection and sends this text. */
async function open(api: TestApi, text = ''): Promise<Socket> {
  const socket = connect(api.web.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
}

/** How long the API takes to close, ms. */
async function closing(api: TestApi): Promise<number> {
  const start = performance.now();
  await api.close();
  return performance.now() - start;
}

describe('the shutdown of a web process', () => {
  test('closes at once connections that have sent nothing or wait for their next request', async () => {
    const api = await startApi();
    const silent = await open(api);
    const kept = await open(api, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(kept, 'data');
    const ends = [silent, kept].map((socket) => once(socket, 'close'));
    expect(await closing(api)).toBeLessThan(3000);
    await Promise.all(ends);
  });

  test('is not delayed by a client that leaves a stream and sends another request', async () => {
    const api = await startApi();
    const { client } = await createOrg(api);
    const listener = await listen(client, '/v1/events/stream');
    listener.close();
    await client.get('/v1/tasks');
    expect(await closing(api)).toBeLessThan(3000);
  });

  test('gives a client that sends headers the time that it has otherwise', async () => {
    const api = await startApi({ web: { clientLimits: { headers: 1000 } } });
    const slow = await open(api, 'GET /livez HTTP/1.1\r\nHost: x\r\n');
    const stuck = await open(api, 'GET /livez HTTP/1.1\r\n');
    let answer = '';
    slow.on('data', (chunk) => {
      answer += chunk;
    });
    const [closed, ends] = [closing(api), [slow, stuck].map((socket) => once(socket, 'close'))];
    await new Promise((resolve) => setTimeout(resolve, 200));
    slow.write('\r\n');
    expect(await closed).toBeLessThan(4000);
    await Promise.all(ends);
    expect(answer).toContain('HTTP/1.1 200');
  });
});

test('the shutdown of processors ends when Redis is back, also of those that were about to connect again', async () => {
  const redis = await startOwnRedis();
  onTestFinished(() => redis.stop());
  const processors = await startProcessors({
    redis: readTopology(redis.url),
    prefix: freshPrefix(),
    sealer,
    webhookAllowedNetworks: [],
    concurrency: 1,
    log: { ...ERRORS_ONLY, warn: () => undefined },
  });
  await redis.kill();
  const refusing = createServer((socket) => void socket.destroy()).listen(redis.port, '127.0.0.1');
  for (let attempts = 0; attempts < 50; attempts += 1) await once(refusing, 'connection');
  // Each connection has failed some times, and makes pauses.
  refusing.close();
  const closed = processors.close();
  await redis.start();
  await closed;
});
