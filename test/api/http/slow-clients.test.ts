// Slow, idle or numerous clients on real sockets: each is disconnected, with a response where possible, and the others are
// served. The tests use shorter limits than the defaults.
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOrg, startApi, type TestApi } from '../../support/api.ts';

let api: TestApi;
let key: string;
beforeAll(async () => {
  const clientLimits = { headers: 400, body: 400, request: 1500, silence: 1500, connections: 20 };
  api = await startApi({ web: { clientLimits, publicUrl: 'own' } });
  key = (await createOrg(api)).client.credential ?? '';
});
afterAll(() => api.close());

function open(): Socket {
  const socket = createConnection(Number(new URL(api.url).port), '127.0.0.1');
  return socket.on('error', () => undefined);
}

/** Everything that the server sends until it ends the connection. */
async function untilCut(socket: Socket): Promise<string> {
  let said = '';
  socket.on('data', (data) => {
    said += data;
  });
  await once(socket, 'close');
  return said;
}

/** Sends `text` byte by byte while the connection is open. */
function drip(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ' '), 20);
  socket.once('close', () => clearInterval(timer));
}

const head = (length: number) =>
  `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

test('slow headers are cut off with 408', async () => {
  const socket = open();
  socket.write('GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  drip(socket, 'abc');
  expect(await untilCut(socket)).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
});

test('a slow body is cut off with 408, and the connection closes', async () => {
  const socket = open();
  socket.write(head(10_000));
  drip(socket, ' ');
  const said = await untilCut(socket);
  expect(said).toMatch(/^HTTP\/1\.1 408 .*\r\nConnection: close\r\n.*"code":"request_timeout"/is);
});

test('a body that never arrives is cut off as well', async () => {
  const socket = open();
  socket.write(head(10_000));
  expect(await untilCut(socket)).toMatch(/^HTTP\/1\.1 408 /);
});

test.each(['token', 'revoke', 'introspect'])('so is a body for /oauth/%s', async (place) => {
  const socket = open();
  socket.write(
    `POST /oauth/${place} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10000\r\n\r\n`,
  );
  drip(socket, 'a');
  const began = performance.now();
  expect(await untilCut(socket)).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
  expect(performance.now() - began).toBeLessThan(1400);
});

test('an idle connection is closed', async () => {
  expect(await untilCut(open())).toMatch(/^(HTTP\/1\.1 408 .*)?$/s);
});

test('connections over the limit of an address get 429 at once; those of trusted proxies are not counted', async () => {
  const clientLimits = { addressConnections: 5 };
  const [limited, behindProxy] = await Promise.all([
    startApi({ web: { clientLimits } }),
    startApi({ web: { clientLimits, trustedProxies: ['127.0.0.1/32'] } }),
  ]);
  const open = async ({ url }: TestApi) => {
    const socket = createConnection(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    // Sent before it is known whether the connection is accepted.
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    const [data] = await once(socket, 'data');
    return { socket, status: String(data).slice(9, 12), reply: String(data) };
  };
  try {
    const own = await Promise.all(Array.from({ length: 12 }, () => open(limited)));
    const refused = own.filter(({ status }) => status === '429');
    // The test client keeps some connections open too.
    expect(refused.length).toBeGreaterThanOrEqual(7);
    expect(refused[0]?.reply).toMatch(
      /Content-Type: application\/problem\+json.*Request-Id: .*"code":"rate_limited"/s,
    );
    const others = await Promise.all(Array.from({ length: 12 }, () => open(behindProxy)));
    expect(new Set(others.map(({ status }) => status))).toEqual(new Set(['200']));
    for (const { socket } of [...own, ...others]) socket.destroy();
    await expect.poll(async () => (await open(limited)).status).toBe('200');
  } finally {
    await Promise.all([limited.close(), behindProxy.close()]);
  }
});

test('connections over the limit of the process are closed until others end', async () => {
  const ask = (socket: Socket): Promise<'answered' | 'shut out'> => {
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    return new Promise((resolve) => {
      socket.once('data', () => resolve('answered'));
      socket.once('close', () => resolve('shut out'));
    });
  };
  const sockets = Array.from({ length: 30 }, open);
  const outcomes = await Promise.all(sockets.map(ask));
  const answered = outcomes.filter((one) => one === 'answered').length;
  // The test client keeps some connections open too.
  expect(answered).toBeGreaterThan(0);
  expect(answered).toBeLessThanOrEqual(20);
  for (const socket of sockets) socket.destroy();
  await expect.poll(() => ask(open())).toBe('answered');
});
