// A worker who is signed in to the portal, and tasks for them.
import { createPool, type TaskView } from './api.ts';
import { DESKTOP } from './chromium.ts';
import type { OpenedPage, PagesOfFile } from './pages.ts';
import { createTestWorker, type TestWorker, taskBody } from './workers.ts';

export interface SignedIn extends OpenedPage {
  person: TestWorker;
  /** The worker's own pool. */
  poolId: string;
}

/** A worker of a pool of their own, signed in by a link. @param width of the window, CSS pixels. */
export async function signInWorker(
  pages: PagesOfFile,
  width = DESKTOP,
  availability = 'offline',
): Promise<SignedIn> {
  const { client } = pages.org;
  const poolId = await createPool(client);
  const person = await createTestWorker(pages.api, client, {
    name: 'Ada Moreau',
    pool_ids: [poolId],
    availability,
    capacity: 5,
  });
  const { url } = await client.post<{ url: string }>(`/v1/workers/${person.worker_id}/sign-in-links`);
  const opened = await pages.open(url.slice(new URL(url).origin.length), { width });
  await opened.page.getByRole('button', { name: 'Sign in to BioLayer' }).click();
  await opened.page.getByRole('heading', { name: 'My work' }).waitFor();
  return { ...opened, person, poolId };
}

/** An urgent task that only the workers of the pool can do. */
export function createPoolTask(
  pages: PagesOfFile,
  poolId: string,
  fields: Record<string, unknown>,
): Promise<TaskView> {
  const deadline = new Date(Date.now() + 3 * 3600_000).toISOString();
  return pages.org.client.post<TaskView>(
    '/v1/tasks',
    taskBody({ sla: { urgency: 'high', deadline }, requirements: { worker_pool_id: poolId }, ...fields }),
  );
}
