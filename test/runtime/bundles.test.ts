// The bundles of script/bundle: what a process loads only when it is used is there, and so are the packages and files that are
// not part of the bundles.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { callTool, connectHttp, pooledRequest, VERSIONS } from '../mcp/support.ts';
import { Client, createPool } from '../support/api.ts';
import { startBucketServer } from '../support/bucket-server.ts';
import { startCallbackReceiver } from '../support/callback-receiver.ts';
import { documentedAnswers } from '../support/documented.ts';
import { startProcess } from '../support/processes.ts';
import { upload } from '../support/uploads.ts';
import { createTaskIn, taskBody } from '../support/workers.ts';

/** Serves a value as JSON on loopback. */
async function serveJson(value: unknown): Promise<{ url: string; close: () => void }> {
  const server = createServer((_request, response) => response.end(JSON.stringify(value)));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

test('a bundled process finds all that it loads later', { timeout: 90_000 }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'biolayer-bundles-'));
  const bucket = await startBucketServer();
  onTestFinished(async () => {
    await bucket.close();
    await rm(dataDir, { recursive: true });
  });
  const server = startProcess(process.execPath, ['dist/src/server.js'], {
    DATA_DIR: dataDir,
    PORT: '0',
    REDIS_URL: '',
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    EVIDENCE_STORE: `s3://bundles?endpoint=${bucket.endpoint}&path_style=true`,
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    OTEL_TRACES_EXPORTER: 'console',
    LOG_LEVEL: 'info',
  });
  const { url = '' } = await server.ready;
  const [key = ''] = /blk_live_\w+/.exec(server.stdout()) ?? [];
  const [, operator = ''] = /Operator token +(\S+)/.exec(server.stdout()) ?? [];
  const check = await documentedAnswers(url);
  const clientOf = (credential: string | null) => new Client(url, credential, check);
  const [org, nobody] = [clientOf(key), clientOf(null)];
  const get = (path: string, headers = {}) => fetch(`${url}${path}`, { headers });

  // Pages, and what swagger-ui-dist and @bull-board/ui serve.
  const basic = { Authorization: `Basic ${Buffer.from(`operator:${operator}`).toString('base64')}` };
  const pages = ['/work', '/console', '/docs', '/docs/swagger-ui-bundle.js', '/openapi.json'];
  const board = ['/admin/queues', '/admin/queues/api/queues'];
  for (const path of pages) expect([path, (await get(path)).status]).toEqual([path, 200]);
  for (const path of board) expect([path, (await get(path, basic)).status]).toEqual([path, 200]);
  const [script = ''] =
    /static\/js\/[\w.-]+\.js/.exec(await (await get('/admin/queues', basic)).text()) ?? [];
  expect((await get(`/admin/queues/${script}`, basic)).status).toBe(200);

  // oidc-provider, and jose with keys that undici fetches.
  expect(await (await get('/oauth/jwks')).json()).toMatchObject({ keys: [{ kty: expect.any(String) }] });
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const { url: keys, close } = await serveJson({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] });
  onTestFinished(close);
  const issuer = 'https://id.example.com/';
  const { audience } = await org.post<{ audience: string }>('/v1/issuers', {
    name: 'Own',
    issuer,
    jwks_uri: keys,
    scope_map: { read: ['tasks:read'] },
  });
  const token = await new SignJWT({ scope: 'read' })
    .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'at+jwt' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject('robot')
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(privateKey);
  expect((await clientOf(token).request('GET', '/v1/tasks')).outcome).toBe('200');

  // The MCP server.
  const pool = await createPool(org);
  const mcp = await connectHttp(url, key, VERSIONS[0]);
  expect((await mcp.listTools()).tools).toHaveLength(8);
  const { idempotency_key: _, ...asked } = pooledRequest(pool);
  expect((await callTool(mcp, 'preview_match', asked)).value).toMatchObject({ reason: 'nobody_qualifies' });
  await mcp.close();

  // The thread for output schemas, the bucket, and undici for webhooks.
  const schema = { type: 'object', properties: { seen: { type: 'boolean' } }, required: ['seen'] };
  const output = { expected_format: 'structured_json', schema };
  const wrong = await org.request('POST', '/v1/tasks', {
    body: taskBody({ output: { ...output, schema: { ...schema, properties: { seen: { type: 'bool' } } } } }),
  });
  expect(wrong.problem.errors?.[0]?.pointer).toBe('/output/schema/properties/seen/type');
  const receiver = await startCallbackReceiver();
  const handoff = {
    callback_url: receiver.url,
    callback_auth: { type: 'bearer', token: randomUUID() },
    events: ['task.completed'],
  };
  const { task, person } = await createTaskIn({ client: clientOf }, { client: org }, 'started', {
    output,
    handoff,
  });
  expect((await upload(person.client, task.task_id, Buffer.from('%PDF-1.4'))).outcome).toBe('201');
  expect(bucket.objects.size).toBe(1);
  const refused = await person.client.request('POST', `/v1/worker/tasks/${task.task_id}/submit`, {
    body: { output: { seen: 'yes' } },
  });
  expect(refused.problem.errors).toMatchObject([{ pointer: '/output/seen', message: 'must be boolean' }]);
  await person.submit(task.task_id);
  await expect
    .poll(() => receiver.received.map(({ type }) => type), { timeout: 30_000 })
    .toEqual(['task.completed']);

  // The thread keeps no process alive, and the spans are exported by the end.
  expect((await nobody.request('GET', '/livez')).outcome).toBe('200');
  server.process.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0, stderr: '' });
  expect(server.stdout()).toContain('service.name');
  expect(server.stdout()).not.toMatch(/"level":"?(error|50)/);
});
