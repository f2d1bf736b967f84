// The id of a removed worker or pool can be used again only after the tasks of the removed one have been released.

import type { ApiDeps } from '../../deps.ts';

/** How long a request waits for a running removal, ms. */
const WAIT_MS = 2000;

/**
 * Waits until the removal of an earlier record with the same id has finished, at most `WAIT_MS`.
 * @param isDone whether it has finished. @param isRelevant whether a change notification may mean that it has.
 * @returns false when it has not finished in time, or the client has disconnected
 */
export async function removalEnds(
  { changes }: ApiDeps,
  orgId: string,
  isDone: () => Promise<boolean>,
  isRelevant: (notification: string) => boolean,
  signal: () => AbortSignal,
): Promise<boolean> {
  if (await isDone()) return true;
  const look = async () => ((await isDone()) ? true : null);
  return (await changes.waitFor(orgId, isRelevant, look, WAIT_MS, signal())) !== null;
}
