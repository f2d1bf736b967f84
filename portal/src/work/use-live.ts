// Follows the worker's stream and keeps what the pages show current.

import type { WorkerEvent } from '@biolayer/sdk';
import { useEffect, useRef, useState } from 'react';
import { type Connection, shareStream } from '../shared/api/stream.ts';
import { applyEvent, renewAll } from './data.ts';

/** @param onOffer called with the title of each offer that arrives while the page is open. */
export function useLive(workerId: string, onOffer: (title: string) => void): Connection {
  const [connection, setConnection] = useState<Connection>('connecting');
  const announce = useRef(onOffer);
  announce.current = onOffer;
  useEffect(() => {
    let wasLost = false;
    return shareStream<WorkerEvent>({
      name: `work-${workerId}`,
      open: (client, signal) => client.worker.stream({ signal }),
      onEvent: (event) => {
        const offer = applyEvent(event);
        if (offer !== null) announce.current(offer.task.title);
      },
      onConnection: (next) => {
        setConnection(next);
        if (next === 'live' && wasLost) renewAll();
        wasLost ||= next === 'offline';
      },
    });
  }, [workerId]);
  return connection;
}
