// Ends a connection while the client is still sending. Closing it at once would cause a reset, and the client might never
// read the response. So its input is read and discarded for a while, like `lingering_close` of nginx, and then the
// connection is destroyed.

import type { Duplex } from 'node:stream';

/** How long a client may keep sending, ms, and how many bytes. */
export const LINGER_MS = 10_000;
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Ends our half of the connection, and the connection when the client has ended its half.
 * @param last bytes to send first. @param time how long input is discarded, ms.
 */
export function endLingering(socket: Duplex, last: string, time = LINGER_MS): void {
  destroyLater(socket, time);
  let left = MAX_BYTES;
  socket.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  socket.once('end', () => socket.destroy());
  socket.end(last);
  socket.resume();
}

/** Destroys the connection after `time` ms, unless it closes first. @returns a function that cancels this */
export function destroyLater(socket: Duplex, time: number): () => void {
  const timer = setTimeout(() => socket.destroy(), time);
  const cancel = () => clearTimeout(timer);
  socket.once('close', cancel);
  return () => {
    cancel();
    socket.removeListener('close', cancel);
  };
}

/** Whether a client has sent too many bytes since its response ended. */
export function isTooMuch(bytes: number): boolean {
  return bytes > MAX_BYTES;
}
