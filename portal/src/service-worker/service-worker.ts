// The service worker of the portal: shows the notices that arrive by Web Push, and leads a click to the page where the worker
// can act. It sends no requests and answers none. It is built into a file of its own, without imports.

interface PushData {
  notice_id: string;
  language: string;
  title: string;
  body: string;
  /** Page where the worker can act; null when the server does not know its public URL. */
  url: string | null;
}

/** What is used of `ServiceWorkerGlobalScope`, whose types cannot be loaded beside those of a page. */
interface Scope {
  location: Location;
  registration: ServiceWorkerRegistration;
  clients: {
    matchAll(options: { type: 'window'; includeUncontrolled: true }): Promise<readonly WindowClient[]>;
    openWindow(url: string): Promise<unknown>;
  };
  addEventListener(type: 'push', listener: (event: PushEvent) => void): void;
  addEventListener(type: 'notificationclick', listener: (event: ClickEvent) => void): void;
}
interface WindowClient {
  focus(): Promise<unknown>;
  postMessage(message: unknown, transfer: Transferable[]): void;
}
interface LastingEvent {
  waitUntil(work: Promise<unknown>): void;
}
interface PushEvent extends LastingEvent {
  data: { json(): unknown } | null;
}
interface ClickEvent extends LastingEvent {
  notification: Notification;
}

const scope = self as unknown as Scope;
const HOME = '/work';

scope.addEventListener('push', (event) => {
  const data = event.data?.json() as PushData | undefined;
  if (data === undefined) return;
  const { notice_id, language, title, body, url } = data;
  // A notice that is sent twice replaces itself. A window that is open does not mean that someone looks at it.
  const options = { body, lang: language, tag: notice_id, data: { url }, icon: '/favicon.svg' };
  event.waitUntil(scope.registration.showNotification(title, options));
});

scope.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const { url } = (event.notification.data ?? {}) as Partial<PushData>;
  event.waitUntil(show(ownUrl(url ?? HOME)));
});

/** A page of the portal; its start for any other address. */
function ownUrl(url: string): URL {
  const home = new URL(HOME, scope.location.origin);
  const wanted = URL.canParse(url, home) ? new URL(url, home) : home;
  return wanted.origin === home.origin && wanted.pathname.startsWith(HOME) ? wanted : home;
}

/** Focuses the window that shows the page, or opens one. A window with another page is left alone: someone may type there. */
async function show(url: URL): Promise<void> {
  const windows = await scope.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const shown = await Promise.all(windows.map(shownBy));
  const window = windows[shown.indexOf(url.href)];
  await (window === undefined ? scope.clients.openWindow(url.href) : window.focus());
}

/** How long a window may take to answer, ms: a browser can have stopped it. */
const ANSWER_WITHIN_MS = 300;

/** The address that a window shows, asked from its page: `url` is the one that it was opened with. */
function shownBy(window: WindowClient): Promise<string | null> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    setTimeout(resolve, ANSWER_WITHIN_MS, null);
    port1.onmessage = ({ data }: MessageEvent<string>) => resolve(data);
    window.postMessage(null, [port2]);
  });
}
