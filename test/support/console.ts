// A member in the console: signed in in Chromium as a person signs in, with e-mail address and password.
import type { BrowserContext } from 'playwright-core';
import { freshName } from './api.ts';
import { type OpenedPage, type PageOptions, type PagesOfFile, watchPage } from './pages.ts';

const PASSWORD = 'correct horse battery staple';

type Role = 'owner' | 'manager' | 'reviewer' | 'viewer';

/** Opens a page of the console as a new member of the org of the file. */
export async function openConsole(
  pages: PagesOfFile,
  path: string,
  { role = 'owner', ...options }: PageOptions & { role?: Role } = {},
): Promise<OpenedPage & { context: BrowserContext }> {
  const { api, org } = pages;
  const email = `${freshName('person')}@example.com`;
  await org.client.post('/v1/members', { email, name: 'Ada Lovelace', password: PASSWORD, role });
  const context = options.context ?? (await pages.newContext(options));
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const signIn = new URLSearchParams({ return_to: path, org: org.org_id });
  await page.goto(`${api.url}/console/sign-in?${signIn}`);
  await page.getByLabel('Email address').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  // The pages of the authorization server are not those that are watched.
  const faults = watchPage(page, api.url);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const { pathname } = new URL(path, api.url);
  await page.waitForURL((url) => url.pathname === pathname);
  return { page, faults, context };
}
