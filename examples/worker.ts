// A minimal app of a human worker: wait for an offer, accept it, start, upload a file and
// submit the result. `script/demo` uses it for its worker.
//
//   WORKER_TOKEN=blw_… node --import tsx examples/worker.ts

import { pathToFileURL } from 'node:url';
import { BioLayer, type Offer } from '@biolayer/sdk';

export interface Work {
  output: unknown;
  notes?: string;
  evidence?: File;
}

/**
 * Waits up to a minute for an offer; null when there was none.
 * @param client has the worker's own token, `blw_…`
 */
export async function nextOffer(client: BioLayer): Promise<Offer | null> {
  const { data } = await client.worker.listOffers({ wait: 60 }, { timeoutMs: 90_000 });
  return data[0] ?? null;
}

/** Accepts an offer, does the work and submits it. @returns ids of the uploaded evidence. */
export async function doWork({ worker }: BioLayer, offer: Offer, work: Work): Promise<string[]> {
  const { output, notes, evidence } = work;
  await worker.acceptOffer(offer.offer_id);
  await worker.startTask(offer.task_id);
  const evidence_ids: string[] = [];
  if (evidence !== undefined) {
    const { evidence_id } = await worker.uploadEvidence(offer.task_id, { file: evidence });
    evidence_ids.push(evidence_id);
  }
  await worker.submitTask(offer.task_id, { output, evidence_ids, ...(notes !== undefined && { notes }) });
  return evidence_ids;
}

/** A made-up output that matches a task's shorthand schema. A real worker would read, call and type. */
function madeUp(schema: object = {}): Record<string, unknown> {
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
  const client = new BioLayer({ apiKey: token });
  console.log('waiting for offers');
  for (;;) {
    const offer = await nextOffer(client);
    if (offer === null) continue;
    console.log(`${offer.task_id}  ${offer.task.title}: ${offer.task.instructions}`);
    const evidence = new File(['Called at 09:41 UTC.\n'], 'call-note.txt', { type: 'text/plain' });
    await doWork(client, offer, { output: madeUp(offer.task.output.schema), evidence });
    console.log(`${offer.task_id}  submitted`);
  }
}
