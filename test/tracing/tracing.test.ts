// Traces: nothing is stored or sent while they are off, and one trace from a request to the webhook when they are on. The
// spans are sent by OTLP to a collector on loopback.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createLog } from '../../src/runtime/log.ts';
import { startTracing, stopTracing } from '../../src/runtime/tracing.ts';
import { readOutboxEntry } from '../../src/state/outbox.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { inSpan, traceHeaders, traceparent } from '../../src/tracing/tracing.ts';
import { createOrg, startApi, type TaskView } from '../support/api.ts';
import { type ReceivedRequest, startCallbackReceiver } from '../support/callback-receiver.ts';
import { startNoticeReceiver } from '../support/notices.ts';
import { createTestWorker, taskBody } from '../support/workers.ts';

const SOON = { timeout: 15_000 };
const CLIENT_TRACE = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';
const HEADERS = { traceparent: `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01` };

interface SentSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  attributes: { key: string; value: { stringValue?: string } }[];
}

/** A collector that keeps what it gets by OTLP as JSON. */
async function startCollector(): Promise<{ url: string; spans: SentSpan[] }> {
  const spans: SentSpan[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request.setEncoding('utf8')) text += piece;
    const { resourceSpans } = JSON.parse(text) as {
      resourceSpans: { scopeSpans: { spans: SentSpan[] }[] }[];
    };
    spans.push(...resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans)));
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans };
}

/** An org with a receiver, and its outbox. */
async function startTenant(options: { processors: boolean }) {
  const api = await startApi({ ...options, webhookAllowedNetworks: ['127.0.0.0/8'] });
  onTestFinished(() => api.close());
  const org = await createOrg(api);
  const receiver = await startCallbackReceiver();
  const create = (fields: Record<string, unknown> = {}) => {
    const handoff = { callback_url: receiver.url, events: ['task.created', 'task.offered'] };
    return org.client.post<TaskView>('/v1/tasks', taskBody({ handoff, ...fields }), { headers: HEADERS });
  };
  const outbox = async () => {
    const entries = await api.redis.xrange(orgKeysOf(api.prefix, org.org_id).outbox, '-', '+');
    return entries.map(([, fields]) => fields);
  };
  return { api, org, receiver, create, outbox };
}

it('stores and sends nothing while they are off', async () => {
  const web = await startTenant({ processors: false });
  await web.create();
  const [fields = []] = await web.outbox();
  expect(fields.join(' ')).not.toContain('trace');
  expect([traceparent(), traceHeaders()]).toEqual([undefined, {}]);
  const all = await startTenant({ processors: true });
  await all.create();
  await expect.poll(() => all.receiver.received.length, SOON).toBe(1);
  expect(all.receiver.received[0]?.headers).not.toHaveProperty('traceparent');
});

it('make one trace from the request to webhooks and notices', async () => {
  const collector = await startCollector();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
  await startTracing('http/json', 'test', '1.2.3');

  // An entry of a trace has the same form, so that older processes read it.
  const web = await startTenant({ processors: false });
  await web.create();
  const [fields = []] = await web.outbox();
  expect(fields.slice(2)).toEqual(['f', '1']);
  expect(readOutboxEntry(fields)).toMatchObject({
    kind: 'known',
    value: { trace: expect.stringMatching(`^00-${CLIENT_TRACE}-[0-9a-f]{16}-01$`) },
  });

  const { api, org, receiver, create, outbox } = await startTenant({ processors: true });
  const slack = await startNoticeReceiver(() => ({ status: 200 }));
  const { worker_id, client } = await createTestWorker(api, org.client);
  await client.post('/v1/worker/notification-channels', { kind: 'slack', url: `${slack.url}/services/x` });
  const endpoint = { url: `${receiver.url}/endpoint`, events: ['task.created'] };
  await org.client.post('/v1/webhook-endpoints', endpoint);
  // Or the new worker would be matched with the task, in the trace of the worker.
  await expect.poll(async () => (await outbox()).length, SOON).toBe(0);
  const { task_id } = await create({ requirements: { worker_ids: [worker_id] } });
  await expect.poll(() => receiver.received.length, SOON).toBe(3);
  await expect.poll(() => slack.received.length, SOON).toBe(1);

  // A log line in a span names it.
  const lines: string[] = [];
  const log = createLog('info', 'test', { write: (line) => lines.push(line) });
  await inSpan('test', { kind: 0, attributes: {} }, async () => log.info({}, 'seen'));
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) });

  await api.close();
  await stopTracing();
  const byId = new Map(collector.spans.map((one) => [one.spanId, one]));
  /** The names of the spans from the one that a webhook names up to the client's. */
  const causes = ({ headers }: Pick<ReceivedRequest, 'headers'>): string[] => {
    const [, trace, id] = String(headers.traceparent).split('-');
    expect(trace).toBe(CLIENT_TRACE);
    const names: string[] = [];
    let at = id;
    while (at !== undefined && at !== CLIENT_SPAN) {
      names.push(byId.get(at)?.name ?? `unknown ${at}`);
      at = byId.get(at)?.parentSpanId;
    }
    return [...names, String(at)];
  };
  const request = ['relay outbox', 'POST /v1/tasks', CLIENT_SPAN];
  const created = receiver.received.filter((one) => one.type === 'task.created');
  expect(created.map(causes)).toEqual(created.map(() => ['POST', 'process webhooks', ...request]));
  expect(receiver.received.filter((one) => one.type === 'task.offered').map(causes)).toEqual([
    ['POST', 'process webhooks', 'relay outbox', 'match task', ...request],
  ]);
  const notice = collector.spans.find((one) => one.name === 'process notifications');
  expect(notice?.traceId).toBe(CLIENT_TRACE);
  const post = collector.spans.filter((one) => one.name === 'POST /v1/tasks').at(-1);
  const attributes = Object.fromEntries(
    post?.attributes.map((one) => [one.key, one.value.stringValue]) ?? [],
  );
  expect(attributes).toMatchObject({ org_id: org.org_id, task_id, 'http.route': '/v1/tasks' });
});
