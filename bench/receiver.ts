// A webhook receiver as a process: responds at once, after DELAY_MS, or never with HANG, and counts requests. `GET /`
// returns their number, the times of the first and last, the number of connections, and the latency from event to first
// byte; `DELETE /` resets all of it.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const delay = Number(process.env.DELAY_MS ?? 0);
const hangs = process.env.HANG !== undefined;
let count = 0;
let first = 0;
let last = 0;
let connections = 0;
let ages: number[] = [];
const server = createServer((request, response) => {
  if (request.method === 'GET') {
    ages.sort((a, b) => a - b);
    const p99 = ages[Math.ceil(ages.length * 0.99) - 1] ?? 0;
    const p50 = ages[Math.ceil(ages.length * 0.5) - 1] ?? 0;
    response.end(JSON.stringify({ count, first, last, connections, p50_ms: p50, p99_ms: p99 }));
    return;
  }
  if (request.method === 'DELETE') {
    count = 0;
    connections = 0;
    ages = [];
    response.end();
    return;
  }
  const came = Date.now();
  let begin = '';
  request.on('data', (chunk: Buffer) => {
    if (begin.length < 200) begin += chunk.toString('latin1', 0, 200);
  });
  request.on('end', () => {
    // The timestamp of an event is the time of its commit; bodies of the baseline have none.
    const at = /"timestamp":"([^"]+)"/.exec(begin)?.[1];
    if (at !== undefined) ages.push(came - Date.parse(at));
    if (hangs) {
      count += 1;
      return;
    }
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
server.on('connection', (socket) => {
  socket.once('data', (chunk: Buffer) => {
    if (chunk.toString('latin1', 0, 4) === 'POST') connections += 1;
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ msg: 'ready', port })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
