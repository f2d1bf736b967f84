// A minimal browser for the OAuth pages: cookies by path, redirects, and forms.

interface Page {
  status: number;
  headers: Headers;
  text: string;
}

export class Browser {
  readonly #origin: string;
  readonly #choice: 'allow' | 'deny';
  readonly #headers: Record<string, string>;
  readonly #cookies = new Map<string, { value: string; path: string }>();
  /** Titles of the pages that were shown, in order. */
  readonly seen: string[] = [];
  /** The current page: its address, the token of its form, its text. */
  at = '';
  token = '';
  text = '';

  /** @param headers sent with every request. */
  constructor(origin: string, choice: 'allow' | 'deny' = 'allow', headers: Record<string, string> = {}) {
    this.#origin = origin;
    this.#choice = choice;
    this.#headers = headers;
  }

  /** Another browser with the same cookies, optionally with other headers. */
  copy(headers = this.#headers): Browser {
    const copy = new Browser(this.#origin, this.#choice, headers);
    for (const [name, cookie] of this.#cookies) copy.#cookies.set(name, cookie);
    return copy;
  }

  /** The cookies, as `name=value`. */
  get cookies(): string[] {
    return [...this.#cookies].map(([name, { value }]) => `${name.split(' ')[0]}=${value}`);
  }

  /** Follows all pages from a URL to the redirect to another origin. @throws Error with the text of an alert. */
  async through(url: string, email: string, password: string): Promise<URL> {
    let next = await this.#follow(url);
    for (let steps = 0; steps < 6; steps += 1) {
      if (next instanceof URL) return next;
      const [, alert] = /role="alert">([^<]+)/.exec(next.text) ?? [];
      if (alert !== undefined) throw new Error(alert);
      const isSignIn = this.seen.at(-1) === 'Sign in';
      const fields = isSignIn ? { email, password, action: 'sign_in' } : { action: this.#choice };
      const answer = await this.submit(fields);
      const location = answer.headers.get('location');
      next = location === null ? answer : await this.#follow(location);
    }
    throw new Error('too many pages');
  }

  /** Opens a page without following redirects. */
  step(url: string): Promise<Page> {
    return this.#request(new URL(url, this.#origin).href);
  }

  /** Opens a page and follows redirects. @throws Error when they lead to another origin. */
  async open(url: string): Promise<Page> {
    const page = await this.#follow(url);
    if (page instanceof URL) throw new Error(`redirected to ${page}`);
    return page;
  }

  /** Sends the form of the page. */
  async submit(fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Page> {
    const body = new URLSearchParams({ token: this.token, ...fields });
    return this.#request(this.at, { method: 'POST', body, headers });
  }

  async #follow(from: string): Promise<Page | URL> {
    let url = new URL(from, this.#origin);
    for (let hops = 0; hops < 10; hops += 1) {
      if (url.origin !== this.#origin) return url;
      const page = await this.#request(url.href);
      const location = page.headers.get('location');
      if (location === null) {
        this.at = url.href;
        this.text = page.text;
        this.token = /name="token" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
        this.seen.push(/<title>(.*?) · /.exec(page.text)?.[1] ?? page.text.slice(0, 100));
        return page;
      }
      url = new URL(location, url);
    }
    throw new Error('too many redirects');
  }

  async #request(href: string, init: RequestInit = {}): Promise<Page> {
    const { pathname } = new URL(href);
    const cookies = [...this.#cookies].filter(([, { path }]) => pathname.startsWith(path));
    const response = await fetch(href, {
      ...init,
      redirect: 'manual',
      headers: {
        Accept: 'text/html',
        ...this.#headers,
        Cookie: cookies.map(([name, { value }]) => `${name.split(' ')[0]}=${value}`).join('; '),
        ...(init.headers as Record<string, string>),
      },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const path = /path=([^;]+)/i.exec(line)?.[1] ?? '/';
      if (/expires=Thu, 01 Jan 1970/i.test(line)) this.#cookies.delete(`${name} ${path}`);
      else this.#cookies.set(`${name} ${path}`, { value, path });
    }
    return { status: response.status, headers: response.headers, text: await response.text() };
  }
}
