// The longest waits behind the reverse proxies of deploy/: a long poll of a minute, and a stream in which nothing happens for
// longer than that. test/reverse-proxies.test.ts tries the rest.
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { BioLayer } from '@biolayer/sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { missing, PROXIES, startReverseProxy } from '../support/reverse-proxies.ts';
import { taskBody } from '../support/workers.ts';
import { OPERATOR_TOKEN, startSystem } from './system.ts';

const WAIT_S = 60;
const QUIET_S = 100;

describe.each(PROXIES)('%s', (name) => {
  test('keeps a quiet connection open', { timeout: 180_000 }, async ({ skip }) => {
    const reason = missing(name);
    if (reason !== null) skip(reason);
    const system = await startSystem();
    onTestFinished(() => system.stop());
    const port = Number(new URL(system.url).port);
    const proxy = await startReverseProxy(name, [port, port]);
    onTestFinished(() => proxy.stop());
    const operator = new BioLayer({ apiKey: OPERATOR_TOKEN, baseUrl: system.url });
    const { api_key: credential } = await operator.admin.createOrg({ name: 'Quiet' });
    const api = new BioLayer({ apiKey: credential, baseUrl: system.url });
    const body = taskBody() as Parameters<typeof api.tasks.create>[0];
    const { task_id } = await api.tasks.create(body);

    const request = proxy.open('/v1/events/stream', { credential }).end();
    const [stream] = (await once(request, 'response')) as [IncomingMessage];
    onTestFinished(() => void request.destroy());
    let text = '';
    stream.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    const begun = performance.now();
    const waited = await proxy.send(`/v1/tasks/${task_id}?wait=${WAIT_S}`, { credential });
    expect(waited.status).toBe(200);
    expect(performance.now() - begun).toBeGreaterThan(WAIT_S * 1000 - 500);
    await new Promise((resolve) => setTimeout(resolve, QUIET_S * 1000 - (performance.now() - begun)));
    const later = await api.tasks.create(body);
    await expect.poll(() => text).toContain(later.task_id);
  });
});
