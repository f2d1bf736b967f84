// What the receiver of the benchmark (receiver.ts) has received.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './stage.ts';

export interface Received {
  count: number;
  first: number;
  last: number;
  connections: number;
  p50_ms: number;
  p99_ms: number;
}

const received = (receiver: Client) => receiver.call<Received>('GET', '/', '');

/** Waits until the receiver has `count` requests. @throws Error after `limit` ms. */
export async function hasHad(receiver: Client, count: number, limit = 120_000): Promise<Received> {
  const end = performance.now() + limit;
  for (;;) {
    const seen = await received(receiver);
    if (seen.count >= count) return seen;
    if (performance.now() > end) throw new Error(`only ${seen.count} of ${count} arrived`);
    await sleep(50);
  }
}
