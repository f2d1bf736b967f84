// A worker or pool can be made under the id of a removed one only when what that one had has been released.

import type { ApiDeps } from '../../deps.ts';

/** How long a request waits for a removal that is under way, ms. */
const WAIT = 2000;

/**
 * Waits a moment for the removal of an earlier record of the same id.
 * @param isDone whether it has ended. @param isRelevant whether a change notification may mean that it has.
 * @returns false when it has not ended in time, or the client is gone.
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
  return (await changes.waitFor(orgId, isRelevant, look, WAIT, signal())) !== null;
}
