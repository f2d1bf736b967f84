// Sessions of browsers: how workers and members sign in, what a cookie may do, and what ends a session.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, createOrg, freshName, type Org, startApi, type TestApi } from '../../support/api.ts';
import { Browser } from '../../support/browser.ts';
import { tokenOf, WebPage } from '../../support/web-page.ts';
import { createTestWorker } from '../../support/workers.ts';

const PASSWORD = 'correct horse battery';
let api: TestApi;
let org: Org;

beforeAll(async () => {
  api = await startApi({ web: { publicUrl: 'own' } });
  org = await createOrg(api);
});
afterAll(() => api.close());

interface Link {
  url: string;
  expires_at: string;
}

function linkFor(worker_id: string, who: Client = org.client, body?: object): Promise<Link> {
  return who.post<Link>(`/v1/workers/${worker_id}/sign-in-links`, body);
}

async function makeMember(fields: object = { role: 'owner' }, who: Org = org) {
  const email = `${freshName('person')}@example.com`;
  const body = { email, name: 'Ada', password: PASSWORD, ...fields };
  const { member_id } = await who.client.post<{ member_id: string }>('/v1/members', body);
  return { email, member_id, path: `/v1/members/${member_id}` };
}

/** Signs a member in to the console with their password. */
async function inConsole(email: string, orgId = org.org_id, returnTo = '/console/tasks'): Promise<WebPage> {
  const browser = new Browser(api.url);
  await browser.open(`/console/sign-in?return_to=${encodeURIComponent(returnTo)}&org=${orgId}`);
  const { headers } = await browser.submit({ email, password: PASSWORD, action: 'sign_in' });
  await browser.open(headers.get('location') ?? '');
  const page = new WebPage(api);
  for (const one of browser.cookies) {
    const [name = '', value = ''] = one.split(/=(.*)/);
    if (name === 'biolayer-console') page.cookies.set(name, value);
  }
  return page;
}

test('a worker signs in with a link, once', async () => {
  const { worker_id } = await createTestWorker(api, org.client);
  const { url, expires_at } = await linkFor(worker_id);
  expect(url).toMatch(new RegExp(`^${api.url}/work/sign-in#bll_`));
  expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(890_000);
  const link = tokenOf({ url });
  const pages = Array.from({ length: 8 }, () => new WebPage(api));
  const answers = await Promise.all(
    pages.map((page) => page.request('POST', '/v1/worker/session', { body: { link } })),
  );
  expect(answers.map((one) => one.outcome).sort()).toEqual([
    '201',
    ...Array.from({ length: 7 }, () => '401 invalid_credential'),
  ]);
  const at = answers.findIndex((one) => one.status === 201);
  const [answer, page] = [answers[at], pages[at]];
  expect(answer?.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^biolayer-worker=blws_\w+; Path=\/; Max-Age=1209600; HttpOnly; SameSite=Strict$/),
  ]);
  expect(answer?.headers.get('cache-control')).toBe('no-store');
  expect(answer?.as()).toMatchObject({ worker_id, org_id: org.org_id });
  expect((await page?.request('GET', '/v1/worker/session'))?.as()).toEqual(answer?.as());
  expect((await page?.request('GET', '/v1/worker'))?.as()).toMatchObject({ worker_id });
  expect((await page?.request('PATCH', '/v1/worker', { body: { availability: 'away' } }))?.status).toBe(200);
  const { data } = await org.client.get<{ data: object[] }>('/v1/audit?limit=3');
  expect(data).toMatchObject([
    { action: 'worker.signed_in', actor: `worker:${worker_id}`, data: { with: 'link' } },
    { action: 'sign_in_link.created', target: { id: worker_id } },
    {},
  ]);
});

test('a member signs in with the password, without a consent page', async () => {
  const { email, member_id } = await makeMember({ role: 'reviewer' });
  const page = await inConsole(email);
  const session = await page.request('GET', '/console/session');
  expect(session.as()).toMatchObject({
    member_id,
    email,
    org_id: org.org_id,
    role: 'reviewer',
    pools: ['*'],
  });
  expect((await page.request('GET', '/v1/tasks')).status).toBe(200);
  expect((await page.request('GET', '/v1/api-keys')).outcome).toBe('403 insufficient_scope');
});
