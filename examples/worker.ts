// A minimal app of a human worker: wait for an offer, accept it, start, upload a file and
// submit the result. `script/demo` uses it for its worker.
//
//   WORKER_TOKEN=blw_… node --import tsx examples/worker.ts

import { pathToFileURL } from 'node:url';

export interface WorkerApi {
  /** Base URL of the API. */
  url: string;
  /** The worker's own token, `blw_…`. */
  token: string;
}

/** The fields of an offer that this example uses. */
interface Offer {
  offer_id: string;
  task_id: string;
  task: { title: string; instructions: string; output: { schema?: Record<string, unknown> } };
}

export interface Work {
  output: unknown;
  notes?: string;
  evidence?: { name: string; mediaType: string; content: string | Uint8Array<ArrayBuffer> };
}

/** Waits up to a minute for an offer; null when there was none. */
export async function nextOffer(api: WorkerApi): Promise<Offer | null> {
  const { data } = await call<{ data: Offer[] }>(api, 'GET', '/v1/worker/offers?wait=60');
  return data[0] ?? null;
}

/** Accepts an offer, does the work and submits it. @returns ids of the uploaded evidence. */
export async function doWork(api: WorkerApi, offer: Offer, work: Work): Promise<string[]> {
  const { evidence } = work;
  const task = `/v1/worker/tasks/${offer.task_id}`;
  await call(api, 'POST', `/v1/worker/offers/${offer.offer_id}/accept`);
  await call(api, 'POST', `${task}/start`);
  const evidence_ids: string[] = [];
  if (evidence !== undefined) {
    const path = `${task}/evidence?name=${encodeURIComponent(evidence.name)}`;
    const kept = await call<{ evidence_id: string }>(api, 'POST', path, evidence.content, evidence.mediaType);
    evidence_ids.push(kept.evidence_id);
  }
  const { output, notes } = work;
  await call(api, 'POST', `${task}/submit`, JSON.stringify({ output, notes, evidence_ids }));
  return evidence_ids;
}

async function call<T>(
  { url, token }: WorkerApi,
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer>,
  type = 'application/json',
): Promise<T> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': type }) },
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text || 'null') as T;
}

/** A made-up output that matches a task's shorthand schema. A real worker would read, call and type. */
function madeUp(schema: Record<string, unknown> = {}): Record<string, unknown> {
  const samples: Record<string, unknown> = {
    boolean: true,
    string: 'Reached the owner by phone; they ran it.',
    number: 1,
    integer: 1,
    array: [],
    object: {},
  };
  const fields = Object.entries(schema).map(([name, type]) => [name, samples[String(type).replace('?', '')]]);
  return Object.fromEntries(fields);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const token = process.env.WORKER_TOKEN;
  if (!token) throw new Error('WORKER_TOKEN is required: a worker token, blw_…');
  const api = { url: process.env.BIOLAYER_URL ?? 'http://127.0.0.1:3000', token };
  console.log('waiting for offers');
  for (;;) {
    const offer = await nextOffer(api);
    if (offer === null) continue;
    console.log(`${offer.task_id}  ${offer.task.title}: ${offer.task.instructions}`);
    const evidence = { name: 'call-note.txt', mediaType: 'text/plain', content: 'Called at 09:41 UTC.\n' };
    await doWork(api, offer, { output: madeUp(offer.task.output.schema), evidence });
    console.log(`${offer.task_id}  submitted`);
  }
}
