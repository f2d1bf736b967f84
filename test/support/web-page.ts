// A page of this server in a browser, as the API sees it: requests with the cookies of the browser and the headers that
// browsers add. The responses are checked against the documentation, as those of every client.
import type { Answer, Client, RequestOptions, TestApi } from './api.ts';

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

  /** Opens a stream. @returns what resolves to the time (ms) at which it has ended */
  async stream(path: string): Promise<Promise<number>> {
    const response = await fetch(this.#client.url + path, {
      headers: { ...this.#headers, Cookie: this.#cookieHeader() },
    });
    if (response.status !== 200) throw new Error(`${path} → ${response.status}`);
    return response.text().then(() => performance.now());
  }

  #cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }
}

/** The token in the fragment of a sign-in link. */
export function tokenOf({ url }: { url: string }): string {
  return new URL(url).hash.slice(1);
}
