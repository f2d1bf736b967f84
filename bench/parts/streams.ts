// Memory of a web process for open event streams, and the latency of their events. Half of the streams follow the events
// of an org, half the offers of a worker.

import type { Socket } from 'node:net';
import { residentMegabytes } from '../processes.ts';
import { type Measured, quantile, row, type Size } from '../rounds.ts';
import { type BenchEnvironment, Client, createOrg, exampleTaskBody } from '../stage.ts';
import { type Heard, openStream } from '../stream-reader.ts';

const STREAMS = 5000;
/** Most open streams of one credential in a web process. */
const STREAMS_OF_A_KEY = 100;
const WORKERS = 50;
/** Tasks of a round. */
const TASKS = 8;

/** Measures memory and latency of this share of 5000 streams on one web process. */
export async function measureStreams(stage: BenchEnvironment, { scale, rounds }: Size): Promise<Measured> {
  const count = Math.round(STREAMS * scale);
  const web = await stage.start('src/web.js', { MAX_CONNECTIONS_PER_ADDRESS: String(2 * count + 100) });
  const url = String(web.ready.url);
  const api = new Client(url, 20);
  const org = await createOrg(api, WORKERS, 50);
  const keys = await followKeys(api, org.api_key, Math.ceil(count / 2 / STREAMS_OF_A_KEY));
  // Warms up, so that only the streams add memory.
  for (let index = 0; index < 200; index += 1) await api.call('GET', '/v1/tasks', org.api_key);
  const before = await residentMegabytes(web.pid);
  const heard: Heard[] = [];
  const open: Socket[] = [];
  for (let index = 0; index < count; index += 100)
    open.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(100, count - index) }, (_, one) =>
          (index + one) % 2 === 0
            ? openStream(`${url}/v1/events/stream`, keys[((index + one) / 2) % keys.length] ?? '', heard)
            : openStream(
                `${url}/v1/worker/stream`,
                org.workers[((index + one - 1) / 2) % WORKERS] ?? '',
                heard,
              ),
        ),
      )),
    );
  const megabytes = (await residentMegabytes(web.pid)) - before;
  const worker = await stage.start('src/worker.js');
  const late: Record<'events' | 'offers', number[]> = { events: [], offers: [] };
  // The first round warms up.
  for (let round = -1; round < rounds; round += 1) {
    heard.length = 0;
    for (let task = 0; task < TASKS; task += 1) {
      await api.call('POST', '/v1/tasks', org.api_key, exampleTaskBody(null));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (round < 0) continue;
    const of = (isOffer: boolean) =>
      heard.filter(({ event }) => (event === 'offer') === isOffer).map((one) => one.late);
    late.events.push(quantile(of(false), 0.99));
    late.offers.push(quantile(of(true), 0.99));
  }
  for (const one of open) one.destroy();
  await Promise.all([web.stop(), worker.stop(), api.close()]);
  return {
    rows: [
      row([`memory of ${count} open streams`, 'MB', 'lower'], [megabytes], null, '≤ 200 for 5000'),
      row(['event to all who follow an org, p99', 'ms', 'lower'], late.events, null, '≤ 100 ms'),
      row(['offer to its worker, p99', 'ms', 'lower'], late.offers, null, '≤ 100 ms'),
    ],
  };
}

/** Creates keys that may follow the events of the org. */
async function followKeys(api: Client, orgKey: string, count: number): Promise<string[]> {
  const keys: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const body = { name: `Stream ${index}`, scopes: ['events:read'] };
    keys.push((await api.call<{ key: string }>('POST', '/v1/api-keys', orgKey, body)).key);
  }
  return keys;
}
