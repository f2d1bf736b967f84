// A page of this server in a browser, as the API sees it: requests with the cookies of the browser and the headers that
// browsers add. The responses are checked against the documentation, as those of every client.
import { newCredential } from '../../src/store/identity/credential-text.ts';
import { linkWrites } from '../../src/store/identity/sessions.ts';
import { commit } from '../../src/store/redis/commit.ts';
import type { Answer, Client, RequestOptions, TestApi } from './api.ts';

/** Headers of a request from a page of another site. */
export const FROM_ELSEWHERE = { Origin: 'https://elsewhere.example', 'Sec-Fetch-Site': 'cross-site' };

export class WebPage {
  readonly #client: Client;
  readonly #headers: Record<string, string>;
  /** Cookies by name. */
  readonly cookies = new Map<string, string>();

  /** @param headers of every request; those of a page of this server by default. */
  constructor(api: TestApi, headers: Record<string, string> = { Origin: api.url }) {
    this.#client = api.client(null);
    this.#headers = headers;
  }

  /** Origin of the page's requests. */
  get url(): string {
    return this.#client.url;
  }

  /** Sends a request and keeps the cookies of the response. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const cookie = this.#cookieHeader();
    const answer = await this.#client.request(method, path, {
      ...options,
      headers: { ...this.#headers, ...(cookie !== '' && { Cookie: cookie }), ...options.headers },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '' || /max-age=0/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  }

  /** Opens a stream. `ended` resolves to the time (ms) at which it has ended. */
  async stream(path: string): Promise<{ ended: Promise<number> }> {
    const response = await fetch(this.#client.url + path, {
      headers: { ...this.#headers, Cookie: this.#cookieHeader() },
    });
    if (response.status !== 200) throw new Error(`${path} → ${response.status}`);
    return { ended: response.text().then(() => performance.now()) };
  }

  #cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }
}

/** The token in the fragment of a sign-in link. */
export function tokenOf({ url }: { url: string }): string {
  return new URL(url).hash.slice(1);
}

/** A page in which a new member is signed in to the console, by a link as that of the demo. */
export async function consolePage(api: TestApi, org_id: string, member_id: string): Promise<WebPage> {
  const { db } = api.web;
  const { text, hash } = newCredential('bll_', org_id);
  const subject = { kind: 'member', member_id, password_version: '1' } as const;
  const expires_at = db.clock.now() + 60_000;
  const link = { kind: 'sign_in_link', org_id, subject, authority: null, expires_at } as const;
  await commit(db.redis, await linkWrites(db, link, hash));
  const page = new WebPage(api);
  const answer = await page.request('POST', '/console/session', { body: { link: text } });
  if (answer.status !== 201) throw new Error(answer.text);
  return page;
}
