// A member who is signed in to the console in Chromium.
import { freshName } from './api.ts';
import type { WindowOptions } from './chromium.ts';
import { cookiesOf, type OpenedPage, type PagesOfFile } from './pages.ts';
import { consolePage } from './web-page.ts';

type Role = 'owner' | 'manager' | 'reviewer' | 'viewer';

/**
 * Opens a page of the console as a new member of the org of the file. The session is made without the browser: signing in with a
 * password takes four pages, and is tested with the members.
 */
export async function openConsole(
  pages: PagesOfFile,
  path: string,
  { role = 'owner', ...options }: WindowOptions & { role?: Role } = {},
): Promise<OpenedPage> {
  const { api, org } = pages;
  const email = `${freshName('person')}@example.com`;
  const { member_id } = await org.client.post<{ member_id: string }>('/v1/members', {
    email,
    name: 'Ada Lovelace',
    password: 'correct horse battery staple',
    role,
  });
  const web = await consolePage(api, org.org_id, member_id);
  const opened = await pages.open(path, { ...options, cookies: cookiesOf(web) });
  opened.page.setDefaultTimeout(15_000);
  return opened;
}
