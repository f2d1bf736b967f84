// How the pages are served, and that both apps start.
import { request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { hasBrowser, PHONE } from '../support/chromium.ts';
import { cookiesOf, expectAccessibleAtBothWidths, pagesOfFile } from '../support/pages.ts';
import { WebPage } from '../support/web-page.ts';
import { createTestWorker } from '../support/workers.ts';

const pages = pagesOfFile();

/** Whether an element has the focus; runs in the page. */
function isFocused(element: unknown): boolean {
  const { ownerDocument } = element as { ownerDocument: { activeElement: unknown } };
  return ownerDocument.activeElement === element;
}

/** Files that an entry loads before it shows anything. */
async function firstLoad(path: string): Promise<string[]> {
  const html = await (await fetch(pages.api.url + path)).text();
  return [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, name]) => name ?? '');
}

/** Bytes that travel for a file that is sent compressed by gzip. */
async function compressedSize(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(pages.api.url + path, { headers: { 'accept-encoding': 'gzip' } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const body = Buffer.concat(chunks);
        if (response.headers['content-encoding'] !== 'gzip') return reject(new Error(`${path} is plain`));
        if (gunzipSync(body).length <= body.length) return reject(new Error(`${path} is not smaller`));
        resolve(body.length);
      });
    });
    sent.on('error', reject).end();
  });
}

describe('the pages', { timeout: 60_000 }, () => {
  it.each(['/work', '/work/', '/work/tasks/x', '/console', '/console/tasks?status=queued'])(
    'serves an entry for %s under the strict policy',
    async (path) => {
      const response = await fetch(pages.api.url + path);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(response.headers.get('cache-control')).toBe('no-cache');
      const policy = response.headers.get('content-security-policy');
      expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
      expect(policy).not.toMatch(/unsafe|https?:|data:/);
      expect(await response.text()).not.toMatch(/<script>|<style|style=|https?:/);
      const head = await fetch(pages.api.url + path, { method: 'HEAD' });
      expect([head.status, await head.text()]).toEqual([200, '']);
    },
  );

  it('lets browsers keep assets for ever, and answers 404 for those it does not have', async () => {
    for (const name of await firstLoad('/work')) {
      const response = await fetch(pages.api.url + name);
      expect([name, response.status]).toEqual([name, 200]);
      expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      const part = await fetch(pages.api.url + name, { headers: { range: 'bytes=9-2' } });
      expect(part.status).toBe(200);
      const head = await fetch(pages.api.url + name, { method: 'HEAD' });
      expect([head.status, await head.text()]).toEqual([200, '']);
    }
    const client = pages.api.client(null);
    for (const path of ['/assets/none.js', '/assets/', '/assets/../work.html', '/assets/%2e%2e/.built'])
      expect([path, (await client.request('GET', path)).outcome]).toEqual([path, '404 not_found']);
    expect((await client.request('POST', '/work')).outcome).toBe('405 method_not_allowed');
  });

  it('leads browsers from / to the console, and tells programs that there is nothing', async () => {
    const browser = await fetch(pages.api.url, { headers: { accept: 'text/html' }, redirect: 'manual' });
    expect([browser.status, browser.headers.get('location')]).toEqual([302, '/console']);
    expect((await pages.api.client(null).request('GET', '/')).outcome).toBe('404 not_found');
  });

  it.each(['/work', '/console'])(
    'loads at most 116 kB for %s, in no more files than requests at a time',
    async (path) => {
      const files = await firstLoad(path);
      expect(files.length).toBeLessThanOrEqual(6);
      const sizes = await Promise.all(files.map(compressedSize));
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      expect(bytes).toBeGreaterThan(50_000);
      expect(bytes).toBeLessThanOrEqual(116_000);
    },
  );

  it('names the messages of the language, and for signed-in workers what the first page shows', async () => {
    const linkOf = async (path: string, headers: Record<string, string>) => {
      const response = await fetch(pages.api.url + path, { headers });
      expect(response.headers.get('vary')).toContain('Accept-Language, Cookie');
      return response.headers.get('link') ?? '';
    };
    const filesIn = (link: string) => [...link.matchAll(/<(\/assets\/[^>]+)>; rel=modulepreload/g)];
    const english = filesIn(await linkOf('/work', { 'accept-language': 'fr, en;q=0.5' }));
    const german = filesIn(await linkOf('/work', { 'accept-language': 'de-AT' }));
    expect([english.length, german.length]).toEqual([2, 2]);
    expect(english).not.toEqual(german);
    for (const [, file] of [...english, ...german])
      expect((await fetch(pages.api.url + file)).status).toBe(200);
    const signedIn = { cookie: '__Host-biolayer-worker=x' };
    expect(await linkOf('/work', signedIn)).toContain('</v1/worker/offers>; rel=preload; as=fetch');
    for (const [path, headers] of [
      ['/work', {}],
      ['/work/sign-in', signedIn],
      ['/console', signedIn],
    ] as const)
      expect(await linkOf(path, headers)).not.toContain('as=fetch');
  });

  it('asks once for what is named', async () => {
    const person = await createTestWorker(pages.api, pages.org.client, { availability: 'away' });
    const web = new WebPage(pages.api);
    await web.request('POST', '/v1/worker/session', { body: { token: person.client.credential } });
    const { page } = await pages.open('/work', { cookies: cookiesOf(web) });
    await page.getByRole('button', { name: 'Go available' }).waitFor();
    const asked = (await page.evaluate(
      'performance.getEntriesByType("resource").map((one) => new URL(one.name).pathname)',
    )) as string[];
    const named = ['/v1/worker', '/v1/worker/offers', '/v1/worker/session', '/v1/worker/tasks'];
    expect(asked.filter((path) => named.includes(path)).sort()).toEqual(named);
  });

  it.skipIf(!hasBrowser).each([
    ['/work/sign-in', 'Sign in'],
    ['/console/sign-in', 'Sign in to the console'],
  ])('shows %s without a fault', async (path, title) => {
    const opened = await pages.open(path, { width: PHONE });
    await opened.page.getByRole('heading', { name: title, exact: true }).waitFor();
    await expectAccessibleAtBothWidths(opened, `sign-in${path.split('/')[1]}`);
  });

  it.skipIf(!hasBrowser)('names the field that is missing, in the language of the browser', async () => {
    const { page } = await pages.open('/work/sign-in', { locale: 'de-DE' });
    await page.getByRole('button', { name: 'Anmelden' }).click();
    const summary = page.getByRole('alert');
    await summary.getByRole('link', { name: 'Geben Sie Ihr Worker-Token ein.' }).click();
    const field = page.getByLabel('Worker-Token');
    expect(await field.evaluate(isFocused)).toBe(true);
    expect(await page.evaluate('document.documentElement.lang')).toBe('de');
    await page.getByLabel('Sprache').selectOption('en');
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });
});
