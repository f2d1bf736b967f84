// How many connections one address may hold: else one client takes all that a process has. Those of trusted proxies are
// not counted, since many clients come by each; a proxy has a limit of its own for them.

import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { answerOn } from '../http/client-error.ts';
import { ApiError } from '../http/problem.ts';
import { addressGroup, type ClientAddresses } from './client-address.ts';

/** Refuses the connections of an address (of IPv6, its /64) beyond `most`, with 429, before anything is read. */
export function limitConnections(server: Server, most: number, addresses: ClientAddresses): void {
  const open = new Map<string, number>();
  // Node's own listener begins to read requests.
  const serve = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket;
    const accept = () => {
      for (const listener of serve) listener.call(server, socket);
    };
    if (addresses.isTrusted(remoteAddress)) return accept();
    const whose = addressGroup(remoteAddress ?? null);
    const count = (open.get(whose) ?? 0) + 1;
    open.set(whose, count);
    socket.once('close', () => {
      const left = (open.get(whose) ?? 1) - 1;
      if (left > 0) open.set(whose, left);
      else open.delete(whose);
    });
    if (count > most) answerOn(socket, tooMany(most));
    else accept();
  });
}

function tooMany(most: number): ApiError {
  return new ApiError('rate_limited', `This address holds more than ${most} connections.`, {
    headers: { 'Retry-After': '10' },
  });
}
