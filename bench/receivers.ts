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

/**
 * Waits until the receiver has `count` requests, and asks it every `pause` ms.
 * @returns what it has then, which may be more. @throws Error after `limit` ms
 */
export async function hasHad(
  receiver: Client,
  count: number,
  { pause = 50, limit = 120_000 }: { pause?: number; limit?: number } = {},
): Promise<Received> {
  const end = performance.now() + limit;
  for (;;) {
    const seen = await received(receiver);
    if (seen.count >= count) return seen;
    if (performance.now() > end) throw new Error(`only ${seen.count} of ${count} arrived`);
    await sleep(pause);
  }
}
