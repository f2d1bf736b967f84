// A webhook receiver as a process of its own: answers at once (or after DELAY_MS) and counts.
// `GET /` tells how many came, and when the first and the last.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const delay = Number(process.env.DELAY_MS ?? 0);
let count = 0;
let first = 0;
let last = 0;
const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify({ count, first, last }));
    return;
  }
  if (request.method === 'DELETE') {
    count = 0;
    response.end();
    return;
  }
  request.resume();
  request.on('end', () => {
    const answer = () => {
      last = performance.now();
      if (count === 0) first = last;
      count += 1;
      response.statusCode = 204;
      response.end();
    };
    if (delay > 0) setTimeout(answer, delay);
    else answer();
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ msg: 'ready', port })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
