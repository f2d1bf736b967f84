// Limits the connections of one address, so that one client cannot take all connections of a process. Trusted proxies are
// exempt, since each carries many clients and has its own limits for them.

import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { respondOn } from '../http/client-error.ts';
import { ApiError } from '../http/problem.ts';
import { addressGroup, type ClientAddresses } from './client-address.ts';

/** Rejects connections of an address (of IPv6, its /64) beyond `most` with 429, before anything is read from them. */
export function limitConnections(server: Server, most: number, addresses: ClientAddresses): void {
  const open = new Map<string, number>();
  // The listener of Node that starts to read requests.
  const serve = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket;
    const accept = () => {
      for (const listener of serve) listener.call(server, socket);
    };
    if (addresses.isTrusted(remoteAddress)) return accept();
    const group = addressGroup(remoteAddress ?? null);
    const count = (open.get(group) ?? 0) + 1;
    open.set(group, count);
    socket.once('close', () => {
      const left = (open.get(group) ?? 1) - 1;
      if (left > 0) open.set(group, left);
      else open.delete(group);
    });
    if (count > most) respondOn(socket, tooMany(most));
    else accept();
  });
}

function tooMany(most: number): ApiError {
  return new ApiError('rate_limited', `This address has more than ${most} open connections.`, {
    headers: { 'Retry-After': '10' },
  });
}
