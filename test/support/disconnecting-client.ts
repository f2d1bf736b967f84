// A client that hangs up in the middle of a request.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { get, type IncomingMessage, type ServerResponse } from 'node:http';

const STARTED = 'http.server.request.start';

/**
 * Sends a GET with a credential and hangs up once `until` resolves.
 * @returns when the server, which runs in this process, has noticed.
 */
export async function disconnectDuring(
  url: string,
  credential: string | null,
  until: Promise<unknown>,
): Promise<void> {
  const { pathname, search } = new URL(url);
  const noticed = new Promise<void>((resolve) => {
    subscribe(STARTED, function onStart(message) {
      const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
      if (request.url !== pathname + search) return;
      unsubscribe(STARTED, onStart);
      response.once('close', resolve);
    });
  });
  const request = get(url, { headers: { Authorization: `Bearer ${credential}` } });
  request.on('error', () => undefined);
  await until;
  request.destroy();
  await noticed;
}
