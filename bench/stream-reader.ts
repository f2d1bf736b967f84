// Reads an event stream on a plain socket. Thousands of streams are read by the one thread of the benchmark, so what a reader
// costs itself is part of each measured time: a chunk takes two thirds of the processor time that it takes with `node:http`.

import { connect, type Socket } from 'node:net';

export interface Heard {
  event: string;
  /** Time from the event's own timestamp to its arrival, ms. */
  late: number;
}

/** All sockets read into it, one after the other. */
const bytes = Buffer.allocUnsafe(256 * 1024);
/** The last text that was read, and the events in it: many streams get the same. */
let last: { text: string; events: { event: string; at: number }[] } = { text: '', events: [] };

/**
 * Opens a stream; resolves when its first bytes arrive.
 * @param heard gets the events of tasks and the offers. @throws Error unless the answer is 200
 */
export function openStream(url: string, credential: string, heard: Heard[]): Promise<Socket> {
  const { hostname, port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    let rest = '';
    let isOpen = false;
    const take = (length: number) => {
      const now = Date.now();
      const text = rest + bytes.toString('latin1', 0, length);
      if (!isOpen && !text.startsWith('HTTP/1.1 200 ')) reject(new Error(`${url}: ${text.slice(0, 100)}`));
      isOpen = true;
      resolve(socket);
      const end = text.lastIndexOf('\n\n') + 2;
      rest = end < 2 ? text : text.slice(end);
      if (end >= 2)
        for (const { event, at } of eventsOf(text.slice(0, end))) heard.push({ event, late: now - at });
      return true;
    };
    const socket = connect({ host: hostname, port: Number(port), onread: { buffer: bytes, callback: take } });
    socket.on('error', reject);
    socket.write(
      `GET ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${credential}\r\n\r\n`,
    );
  });
}

/** The events of tasks and the offers among some frames, with their times. */
function eventsOf(text: string): { event: string; at: number }[] {
  if (text === last.text) return last.events;
  const events = text.split('\n\n').flatMap((frame) => {
    const event = /^event: (.*)$/m.exec(frame)?.[1] ?? '';
    const at = /"(?:at|offered_at)":"([^"]+)"/.exec(frame)?.[1];
    const counts = at !== undefined && (event === 'offer' || event.startsWith('task.'));
    return counts ? [{ event, at: Date.parse(at) }] : [];
  });
  last = { text, events };
  return events;
}
