// Creates at a steady rate, far below the capacity of a web process, so that queueing does not hide what else slows them down.

import { requests } from './measures.ts';
import { exampleTaskBody, type Org } from './stage.ts';

/** Creates per second. */
const RATE = 100;

/** The p99 of creates over `seconds`, ms. */
export async function steadyP99(url: string, org: Org, seconds: number): Promise<number> {
  const load = {
    url: `${url}/v1/tasks`,
    credential: org.api_key,
    body: exampleTaskBody(null),
    connections: 10,
  };
  return (await requests({ ...load, seconds, rate: RATE })).p99_ms;
}
