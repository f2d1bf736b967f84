// HTTP: media types, encodings, sizes, methods, unknown paths, request ids, HEAD and OPTIONS. The test client checks that
// every error conforms to RFC 9457; these tests check which error it is, and that the server continues.
import { once } from 'node:events';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ROUTES } from '../../../src/api/routes/index.ts';
import { startApiOfFile, type TaskView } from '../../support/api.ts';
import { taskBody } from '../../support/workers.ts';

const { api, org, client } = await startApiOfFile();

const KIB = 1024;
const LIMIT = 256 * KIB;

/** A body of exactly `bytes` bytes that is valid except, perhaps, for its size. */
function bodyOf(bytes: number): string {
  const body = taskBody({ context: { data: { fill: '' } } });
  const length = Buffer.byteLength(JSON.stringify(body));
  return JSON.stringify({ ...body, context: { data: { fill: 'x'.repeat(bytes - length) } } });
}

/** Sends raw bytes on a new socket, and reads until the server ends the connection or `enough`. */
async function rawExchange(
  text: string | Buffer,
  enough: (reply: string) => boolean = () => false,
): Promise<string> {
  const socket = createConnection(Number(new URL(api.url).port), '127.0.0.1');
  let reply = '';
  socket.on('error', () => undefined); // A server that has said enough may reset what we still send.
  socket.on('data', (data) => {
    reply += data;
    if (enough(reply)) socket.destroy();
  });
  socket.write(text);
  await once(socket, 'close');
  return reply;
}

describe('JSON', () => {
  test.each([
    ['cut off', '{"title":'],
    ['trailing comma', '{"a":1,}'],
    ['single quotes', "{'a':1}"],
    ['a comment', '{} // x'],
    ['NaN', '{"a":NaN}'],
    ['two documents', '{}{}'],
    ['spaces', '   '],
    ['byte order mark', '\ufeff{}'],
    ['a control character', '{"a":"\u0001"}'],
  ])('%s is malformed', async (_name, raw) => {
    expect((await client.request('POST', '/v1/tasks', { raw })).outcome).toBe('400 malformed_json');
  });

  test.each([
    ['a lone byte', [0xff]],
    ['an overlong form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a sequence cut off', [0xe6, 0xbc]],
  ])('%s is not UTF-8', async (_name, bytes) => {
    const [head = '', tail = ''] = JSON.stringify(taskBody({ title: '@@' })).split('@@');
    const raw = new Uint8Array([...Buffer.from(head), ...bytes, ...Buffer.from(tail)]);
    expect((await client.request('POST', '/v1/tasks', { raw })).outcome).toBe('400 malformed_json');
  });

  test('a missing body is refused where one is required', async () => {
    expect((await client.request('POST', '/v1/tasks')).outcome).toBe('400 malformed_json');
  });

  test('text of all planes, escapes and names like __proto__ are returned unchanged', async () => {
    const raw = `{"nul":"\\u0000","rtl":"\u202eabc","emoji":"👩🏽‍🔬","nfd":"e\u0301","plane16":"\u{10ffff}","sep":"\u2028",
      "__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"":"","a/b~c":[1.5e-7,-0.0,[],{}]}`;
    const metadata = '{"__proto__":"kept","toString":"kept","ключ":"値"}';
    const body = JSON.stringify(taskBody({ title: '漢字 👍', metadata: '@m', context: { data: '@d' } }))
      .replace('"@d"', raw)
      .replace('"@m"', metadata);
    const created = await client.post<TaskView>('/v1/tasks', undefined, { raw: body });
    const read = await client.get<TaskView>(`/v1/tasks/${created.task_id}`);
    for (const task of [created, read]) {
      const { data } = task.context as { data: object };
      expect(JSON.stringify(data)).toBe(JSON.stringify(JSON.parse(raw)));
      expect(JSON.stringify(task.metadata)).toBe(JSON.stringify(JSON.parse(metadata)));
      expect(task.title).toBe('漢字 👍');
    }
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('numbers', () => {
  test.each([
    ['an id of 19 digits', '7241196035518234117', '/context/data/n'],
    ['a negative one', '-9007199254740993', '/context/data/n'],
    ['more digits than a double has', '3.14159265358979323846', '/context/data/n'],
    ['too small for a double', '1e-400', '/context/data/n'],
    ['too large for a double', '1e400', '/context/data/n'],
    ['one among others', '[1, {"a/b": 12345678901234567891}]', '/context/data/n/1/a~1b'],
  ])('%s is refused with its pointer', async (_name, text, pointer) => {
    const raw = JSON.stringify(taskBody({ context: { data: { n: 'NUMBER' } } })).replace('"NUMBER"', text);
    const answer = await client.request('POST', '/v1/tasks', { raw });
    expect(answer.outcome).toBe('422 validation_failed');
    expect(answer.problem.errors?.map((one) => one.pointer)).toEqual([pointer]);
  });

  test.each([
    '9007199254740992',
    '-1.50',
    '0.1',
    '1E3',
    '100000000000000000000',
    '1.7976931348623157e308',
    '5e-324',
  ])('%s is kept exactly', async (text) => {
    const raw = JSON.stringify(taskBody({ context: { data: { n: 'NUMBER' } } })).replace('"NUMBER"', text);
    const { context } = (await client.request('POST', '/v1/tasks', { raw })).as<TaskView>();
    expect(context).toEqual({ data: { n: Number(text) } });
  });

  test('text that looks like a number stays text', async () => {
    const data = { a: ': 12345678901234567891', b: '7241196035518234117' };
    expect((await client.post<TaskView>('/v1/tasks', taskBody({ context: { data } }))).context).toEqual({
      data,
    });
  });
});

test('an empty chunked body counts as no body, with or without a Content-Type', async () => {
  const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody());
  const cancel = (type: string) =>
    rawExchange(
      `POST /v1/tasks/${task_id}/cancel HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${type}` +
        `Authorization: Bearer ${client.credential}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    );
  expect(await cancel('')).toMatch(/^HTTP\/1.1 200 /);
  expect(await cancel('Content-Type: application/json\r\n')).toMatch(/^HTTP\/1.1 409 /);
});

test('ids are case-insensitive', async () => {
  const { task_id, org_id } = await client.post<TaskView>(
    '/v1/tasks',
    taskBody({ origin: { product: 'p', request_id: 'r', org_id: org.org_id.toUpperCase() } }),
  );
  expect(org_id).toBe(org.org_id);
  expect((await client.get<TaskView>(`/v1/tasks/${task_id.toUpperCase()}`)).task_id).toBe(task_id);
});

describe('media type', () => {
  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'nonsense',
    '',
  ])('"%s" is not JSON', async (type) => {
    const answer = await client.request('POST', '/v1/tasks', {
      body: taskBody(),
      headers: { 'Content-Type': type },
    });
    expect(answer.outcome).toBe('415 unsupported_media_type');
  });

  test.each(['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/vnd.x+json'])(
    '"%s" is JSON',
    async (type) => {
      const answer = await client.request('POST', '/v1/tasks', {
        body: taskBody(),
        headers: { 'Content-Type': type },
      });
      expect(answer.outcome).toBe('201');
    },
  );

  test('a compressed body is refused', async () => {
    const headers = { 'Content-Encoding': 'gzip' };
    const answer = await client.request('POST', '/v1/tasks', { body: taskBody(), headers });
    expect(answer.outcome).toBe('415 unsupported_media_type');
  });
});

describe('size', () => {
  test('accepts 256 KiB and refuses one byte more', async () => {
    const fits = await client.request('POST', '/v1/tasks', { raw: bodyOf(LIMIT) });
    expect(fits.outcome).toBe('201');
    const over = await client.request('POST', '/v1/tasks', { raw: bodyOf(LIMIT + 1) });
    expect(over.outcome).toBe('413 body_too_large');
  });

  test('refuses a body without a length as soon as it is too large', async () => {
    const sent = request(`${api.url}/v1/tasks`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${client.credential}`, 'Content-Type': 'application/json' },
    });
    sent.on('error', () => undefined);
    const answered = once(sent, 'response');
    // Never ended, so only the exceeded limit can cause a response.
    sent.write(bodyOf(LIMIT + 1));
    const [response] = await answered;
    expect(response.statusCode).toBe(413);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    response.resume();
    sent.destroy();
  });

  test('refuses a declared length over the limit before the body is sent', async () => {
    const head = `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${client.credential}\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n`;
    const reply = await rawExchange(head);
    expect(reply).toMatch(/^HTTP\/1.1 413 /);
    expect(reply).toMatch(/\r\nConnection: close\r\n/i);
  });

  test.each([
    ['with its length', 'Content-Length: 8000000', ''],
    ['in chunks', 'Transfer-Encoding: chunked', '7a1200\r\n'],
    ['on a connection to be closed', 'Connection: close\r\nContent-Length: 8000000', ''],
  ])(
    'a client that sends a whole body over the limit %s can read the answer',
    async (_name, fields, chunk) => {
      const socket = createConnection(Number(new URL(api.url).port), '127.0.0.1');
      const failures: Error[] = [];
      socket.on('error', (error) => failures.push(error));
      socket.write(
        `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${client.credential}\r\nContent-Type: application/json\r\n${fields}\r\n\r\n${chunk}`,
      );
      // Like a blocking client: sends everything, one piece after the other, before it reads.
      socket.pause();
      const piece = Buffer.alloc(100_000, 'x');
      for (let sent = 0; sent < 8_000_000 && failures.length === 0; sent += piece.length)
        await new Promise((resolve) => socket.write(piece, resolve));
      if (chunk !== '') await new Promise((resolve) => socket.write('\r\n0\r\n\r\n', resolve));
      let reply = '';
      for await (const data of socket) reply += data;
      expect(failures).toEqual([]);
      expect(reply).toMatch(/^HTTP\/1\.1 413 .*"code":"body_too_large"/s);
    },
  );

  test('the server continues after a client that disconnects', async () => {
    const head = `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${client.credential}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"a":`;
    const socket = createConnection(Number(new URL(api.url).port), '127.0.0.1');
    await once(socket, 'connect');
    await new Promise((resolve) => socket.write(head, resolve));
    socket.destroy();
    expect((await client.request('GET', '/v1/tasks')).status).toBe(200);
  });
});

describe('malformed requests', () => {
  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400, 'malformed_request'],
    ['a header that is none', 'GET /livez HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n', 400, 'malformed_request'],
    [
      'two lengths',
      'POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'malformed_request',
    ],
    [
      'headers of 20 KiB',
      `GET /livez HTTP/1.1\r\nHost: x\r\nX-Much: ${'x'.repeat(20 * KIB)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'headers of a megabyte, all of them sent',
      `GET /livez HTTP/1.1\r\nHost: x\r\nX-Much: ${'x'.repeat(1024 * KIB)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['no Host', 'GET /livez HTTP/1.1\r\n\r\n', 400, 'malformed_request'],
    ['two Hosts', 'GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', 400, 'malformed_request'],
    ['an expectation', 'GET /livez HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n', 417, 'expectation_failed'],
    ['CONNECT', 'CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
    ['a method that is none', 'FETCH / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'malformed_request'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'malformed_request'],
    ['a version to come', 'GET /livez HTTP/3.7\r\nHost: x\r\n\r\n', 400, 'malformed_request'],
    [
      'a length that is none',
      'POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
      400,
      'malformed_request',
    ],
    [
      'a chunk with endless extensions',
      `POST /v1/tasks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;x=${'x'.repeat(20 * KIB)}`,
      413,
      'body_too_large',
    ],
  ])('%s is answered with a problem', async (_name, text, status, code) => {
    const isWhole = (reply: string) => /\r\n\r\n\{.*\}$/s.test(reply);
    const [head = '', body = ''] = (await rawExchange(text, isWhole)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head).toMatch(/\r\nContent-Type: application\/problem\+json/i);
    const [, id] = /\r\nRequest-Id: (\S+)/i.exec(head) ?? [];
    expect(JSON.parse(body)).toMatchObject({ status, code, request_id: id });
  });
});

describe('paths and methods', () => {
  test.each([
    '/',
    '/v1',
    '/v2/tasks',
    '/v1/task',
    '/v1/tasks/x/y/z',
    '/v1//tasks',
    '/V1/TASKS',
    '/v1/tasks/',
    '/favicon.ico',
    '/%2e%2e/etc/passwd',
  ])('%s is 404', async (path) => {
    expect((await client.request('GET', path)).outcome).toBe('404 not_found');
  });

  test.each([
    'x',
    '%00',
    '%E0%A4%A',
    '..%2F..',
    '0190163d-8694-739b-aea5-966c26f8ad9',
    "'; DROP",
    '__proto__',
  ])('a task with the id %s is 404', async (id) => {
    expect((await client.request('GET', `/v1/tasks/${id}`)).outcome).toBe('404 not_found');
  });

  const paths = [...new Set(ROUTES.map((route) => route.path))];
  test.each(paths)('%s lists its methods in a 405', async (path) => {
    const methods = ROUTES.filter((route) => route.path === path).map((route): string => route.method);
    const place = path.replaceAll(/\{\w+\}/g, '0190163d-8694-739b-aea5-966c26f8ad90');
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((one) => !methods.includes(one))) {
      const answer = await client.request(method, place);
      expect(answer.outcome).toBe('405 method_not_allowed');
      const allowed = (answer.headers.get('allow') ?? '').split(/, */);
      expect(allowed.filter((one) => one !== 'HEAD' && one !== 'OPTIONS').sort()).toEqual(
        [...methods].sort(),
      );
    }
    const options = await client.request('OPTIONS', place);
    expect(options.status).toBeLessThan(300);
    for (const method of methods) expect(options.headers.get('allow')).toContain(method);
  });

  test('an unknown method is 405 where a route exists and 404 elsewhere', async () => {
    expect((await client.request('PROPFIND', '/v1/nope')).outcome).toBe('404 not_found');
    const known = await client.request('PROPFIND', '/v1/tasks');
    expect([known.outcome, known.headers.get('allow')]).toEqual([
      '405 method_not_allowed',
      'POST, HEAD, GET',
    ]);
  });

  test('HEAD answers like GET without the body', async () => {
    const { task_id } = await client.post<TaskView>('/v1/tasks', taskBody());
    for (const path of [`/v1/tasks/${task_id}`, '/v1/tasks', '/livez', '/openapi.json', '/docs']) {
      const get = await client.request('GET', path);
      const head = await client.request('HEAD', path);
      expect(head.status).toBe(200);
      expect(head.text).toBe('');
      for (const name of ['content-type', 'content-length', 'etag'])
        expect(head.headers.get(name)).toBe(get.headers.get(name));
    }
    const missing = await client.request('HEAD', '/v1/tasks/0190163d-8694-739b-aea5-966c26f8ad90');
    expect(missing.status).toBe(404);
  });
});

describe('request id', () => {
  test.each(['abc', 'a b', '~'.repeat(128), 'req/1:2,3;4'])('"%s" is kept', async (id) => {
    const fine = await client.request('GET', '/v1/tasks', { headers: { 'Request-Id': id } });
    expect(fine.headers.get('request-id')).toBe(id);
    const failed = await client.request('GET', '/nowhere', { headers: { 'Request-Id': id } });
    expect(failed.problem.request_id).toBe(id);
  });

  test.each(['~'.repeat(129), 'caf\u00e9', 'a\tb'])('"%s" is replaced', async (id) => {
    const { headers } = await client.request('GET', '/v1/tasks', { headers: { 'Request-Id': id } });
    expect(headers.get('request-id')).toMatch(/^[\x21-\x7e]{1,128}$/);
    expect(headers.get('request-id')).not.toBe(id);
  });

  test('every response has its own', async () => {
    const paths = ['/livez', '/v1/tasks', '/nowhere', '/openapi.json', '/admin/queues'];
    const answers = await Promise.all([...paths, ...paths].map((path) => client.request('GET', path)));
    const ids = answers.map((one) => one.headers.get('request-id'));
    expect(new Set(ids).size).toBe(paths.length * 2);
    expect(ids).not.toContain(null);
  });
});

describe('query', () => {
  test.each([
    '/v1/tasks?limit=0',
    '/v1/tasks?limit=201',
    '/v1/tasks?limit=-1',
    '/v1/tasks?limit=1.5',
    '/v1/tasks?limit=ten',
    '/v1/tasks?limit=',
    '/v1/tasks?limit=1&limit=2',
    '/v1/tasks?order=up',
    '/v1/tasks?status=done',
    '/v1/tasks?status=queued,done',
    '/v1/tasks?status=',
    '/v1/tasks?urgency=now',
    '/v1/tasks?domain=Not+a+slug',
    '/v1/tasks?pool=a+b',
    '/v1/tasks?created_after=yesterday',
    '/v1/tasks?created_before=2026-01-01',
    '/v1/tasks?colour=red',
    '/v1/tasks?__proto__=x',
    '/v1/tasks?constructor=x',
    '/v1/tasks?api_key=x',
    '/v1/pools?limit=0',
    '/v1/workers?limit=x',
    '/v1/api-keys?order=x',
    '/v1/events?types=task.done',
    '/v1/events?limit=500',
    '/v1/tasks/0190163d-8694-739b-aea5-966c26f8ad90?wait=0',
    '/v1/tasks/0190163d-8694-739b-aea5-966c26f8ad90?wait=61',
    '/v1/tasks/0190163d-8694-739b-aea5-966c26f8ad90?wait=soon',
    '/v1/org?verbose=1',
  ])('%s is refused with its name', async (path) => {
    const answer = await client.request('GET', path);
    expect(answer.outcome).toBe('400 invalid_query');
    const [, name = ''] = /\?(\w+)=/.exec(path) ?? [];
    expect(answer.problem.errors?.map((one) => one.parameter)).toContain(name);
  });

  test.each(['/v1/tasks', '/v1/pools', '/v1/workers', '/v1/api-keys', '/v1/events'])(
    'a cursor that %s did not issue is refused',
    async (path) => {
      const forged = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url');
      for (const cursor of ['', 'x', 'AAAA', forged(null), forged([]), forged(['x', 'y'])])
        expect((await client.request('GET', `${path}?cursor=${cursor}`)).outcome).toBe('400 invalid_cursor');
    },
  );
});
