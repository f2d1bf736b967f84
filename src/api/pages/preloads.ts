// What a page will ask for as soon as its code runs, named in the `Link` header of its entry: the messages of its language and, for
// a signed-in worker, what the first page shows. The browser asks for it together with the code and not after it, which on a
// slow network saves a second.

import { readFileSync } from 'node:fs';
import type { Context } from 'koa';

/** The part of Vite's manifest that is used: source file → what was built of it. */
type Manifest = Record<string, { file: string; imports?: string[] }>;

interface App {
  /** Name of the catalogues of messages in `portal/src/shared/i18n`. */
  catalogue: string;
  /** Ends the name of the session cookie. */
  cookie: string;
  /** What is asked for with the cookie. */
  requests: readonly string[];
}

const APPS: Readonly<Record<string, App>> = {
  'work.html': {
    catalogue: 'work-app',
    cookie: 'biolayer-worker=',
    requests: ['/v1/worker/session', '/v1/worker', '/v1/worker/offers', '/v1/worker/tasks'],
  },
  'console.html': { catalogue: 'console-app', cookie: 'biolayer-console=', requests: ['/console/session'] },
};
const LANGUAGES = ['en', 'de'];

/** The `Link` header for an entry. */
export class Preloads {
  readonly #manifest: Manifest;

  /** @param built folder of the built pages */
  constructor(built: string) {
    this.#manifest = JSON.parse(readFileSync(`${built}manifest.json`, 'utf8')) as Manifest;
  }

  /** @param entry name of the entry's file */
  linkOf(ctx: Context, entry: string): string {
    const { catalogue = '', cookie = '', requests = [] } = APPS[entry] ?? {};
    const language = ctx.acceptsLanguages(LANGUAGES) || 'en';
    const files = this.#filesOf(`src/shared/i18n/${language}/${catalogue}.ts`, entry);
    const isSignedIn = ctx.get('Cookie').includes(cookie) && !ctx.path.endsWith('/sign-in');
    return [
      ...files.map((file) => `</${file}>; rel=modulepreload; crossorigin`),
      ...(isSignedIn ? requests : []).map((path) => `<${path}>; rel=preload; as=fetch; crossorigin`),
    ].join(', ');
  }

  /** A source's own files, without those that the entry names. */
  #filesOf(source: string, entry: string): string[] {
    const known = new Set(this.#manifest[entry]?.imports);
    const { file, imports = [] } = this.#manifest[source] ?? {};
    const own = imports.filter((one) => !known.has(one)).flatMap((one) => this.#manifest[one]?.file ?? []);
    return file === undefined ? [] : [file, ...own];
  }
}
