// A worker who is signed in to the portal, and tasks for them.
import { createPool, type TaskView } from './api.ts';
import { DESKTOP } from './chromium.ts';
import { cookiesOf, type OpenedPage, type PagesOfFile } from './pages.ts';
import { WebPage } from './web-page.ts';
import { createTestWorker, type TestWorker, taskBody } from './workers.ts';

export interface SignedIn extends OpenedPage {
  person: TestWorker;
  /** The worker's own pool. */
  poolId: string;
}

/**
 * A worker of a pool of their own, signed in. The session is made without the browser: signing in by a link is tested
 * with the demo. @param width of the window, CSS pixels.
 */
export async function signInWorker(
  pages: PagesOfFile,
  width = DESKTOP,
  availability = 'offline',
): Promise<SignedIn> {
  const { api, org } = pages;
  const poolId = await createPool(org.client);
  const person = await createTestWorker(api, org.client, {
    name: 'Ada Moreau',
    pool_ids: [poolId],
    availability,
    capacity: 5,
  });
  const web = new WebPage(api);
  await web.request('POST', '/v1/worker/session', { body: { token: person.client.credential } });
  const opened = await pages.open('/work', { width, cookies: cookiesOf(web) });
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
