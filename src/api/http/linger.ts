// How a connection ends on which the client still sends when its answer is out. One that is closed then is reset,
// and the client, in the middle of a write, never reads the answer. So what it sends is read and thrown away for a
// while, as servers do (nginx: lingering_close); a client that goes on for longer is cut off.

import type { Duplex } from 'node:stream';

/** How long a client may go on sending, ms, and how much. */
export const LINGER = 10_000;
const MOST = 32 * 1024 * 1024;

/**
 * Ends our half of the connection, and all of it when the client has ended its own.
 * @param last what is sent before @param time for how long what comes is thrown away, ms
 */
export function endLingering(socket: Duplex, last: string, time = LINGER): void {
  cutOffLater(socket, time);
  let left = MOST;
  socket.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  socket.once('end', () => socket.destroy());
  socket.end(last);
  socket.resume();
}

/** Destroys the connection after `time`, ms, unless it is closed before. @returns a function that calls it off */
export function cutOffLater(socket: Duplex, time: number): () => void {
  const timer = setTimeout(() => socket.destroy(), time);
  const callOff = () => clearTimeout(timer);
  socket.once('close', callOff);
  return () => {
    callOff();
    socket.removeListener('close', callOff);
  };
}

/** Whether a client that has sent so many bytes since its answer was out is to be cut off. */
export function isTooMuch(bytes: number): boolean {
  return bytes > MOST;
}
