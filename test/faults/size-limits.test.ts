// CPU time of a web process for bodies at the size limit, for every route with a body, relative to a body of the same size
// that is refused at once.
import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BODY_LIMIT } from '../../src/api/middleware/json-body.ts';
import type { Route } from '../../src/api/route.ts';
import { ROUTES } from '../../src/api/routes/index.ts';
import { type Client, createOrg, startApi, type TestApi } from '../support/api.ts';
import { hostileBodies } from '../support/size-limit-bodies.ts';
import { createTestWorker } from '../support/workers.ts';

const ID = '00000000-0000-7000-8000-000000000000';
/** A generous factor: the baseline is about 2 ms for 256 KiB, and other processes use the machine. */
const TIMES = 25;

let api: TestApi;
let clients: Record<Route['access']['kind'], Client>;

beforeAll(async () => {
  api = await startApi();
  const { client } = await createOrg(api);
  const { client: worker } = await createTestWorker(api, client);
  const none = api.client(null);
  clients = {
    ...{ scope: client, worker, operator: api.operator },
    ...{ session: none, sign_in: none, open: none },
  };
});
afterAll(() => api.close());

interface Cost {
  /** CPU time of the process, which is also the client, ms. */
  ms: number;
  status: number;
  /** Size of the response. */
  bytes: number;
}

function send(route: Route, text: string): Promise<Cost> {
  const { credential } = clients[route.access.kind];
  const body = Buffer.from(text);
  const before = process.cpuUsage();
  return new Promise((resolve, reject) => {
    const sent = request(
      api.url + route.path.replaceAll(/\{\w+\}/g, ID),
      {
        method: route.method,
        headers: {
          'Content-Type': 'application/json',
          Origin: api.url,
          'Content-Length': body.length,
          ...(credential !== null && { Authorization: `Bearer ${credential}` }),
        },
      },
      (answer) => {
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        answer.on('end', () => {
          const { user, system } = process.cpuUsage(before);
          resolve({ ms: (user + system) / 1000, status: answer.statusCode ?? 0, bytes });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The lowest cost of several tries, because other load only adds to it. */
async function cost(route: Route, text: string, tries = 1): Promise<Cost> {
  let lowest = await send(route, text);
  for (let at = 1; at < tries; at += 1) {
    const next = await send(route, text);
    if (next.ms < lowest.ms) lowest = next;
  }
  return lowest;
}

test.each(ROUTES.filter((route) => route.body !== undefined).map((route) => ({ route, path: route.path })))(
  'limits the cost of $path',
  async ({ route, path }) => {
    const bytes = route.bodyLimits?.bytes ?? BODY_LIMIT;
    const refused = `{"unknown":"${'x'.repeat(bytes - 20)}"}`;
    const baseline = await cost(route, refused, 10);
    const limit = TIMES * baseline.ms;
    const found: (Cost & { name: string; size: number })[] = [];
    // A body of a batch costs as much as sixteen others, so fewer are tried.
    for (const { name, text } of hostileBodies(route, bytes, route.bodyLimits !== undefined)) {
      const once = await cost(route, text);
      const lowest = once.ms > limit / 2 ? await cost(route, text, 3) : once;
      found.push({ name, size: text.length, ...lowest });
    }
    found.sort((a, b) => b.ms - a.ms);
    const shown = found.slice(0, 3).map((one) => `${one.ms.toFixed(1)} ms ${one.status} ${one.name}`);
    const growth = Math.max(...found.map((one) => one.bytes / one.size));
    console.log(
      `${path}: baseline ${baseline.ms.toFixed(1)} ms; ${shown.join('; ')}; answer × ${growth.toFixed(2)}`,
    );
    expect(found.filter((one) => one.bytes > 4 * one.size)).toEqual([]);
    expect(found.filter((one) => one.status >= 500)).toEqual([]);
    expect(found.filter((one) => one.ms > limit)).toEqual([]);
  },
);
