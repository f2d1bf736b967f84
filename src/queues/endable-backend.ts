// A BullMQ backend whose wait for a job ends when its worker is closed, whatever the state of its connection. BullMQ 6.7 waits for
// the connection to end, which ioredis never reports when it is told to disconnect between two attempts to connect, and for the
// command that was sent before. A worker whose Redis was away until a moment ago would be closed late or never
// (taskforcesh/bullmq issue 4656).

import type { createRedisBackend } from 'bullmq';

type Backend = ReturnType<typeof createRedisBackend>;

/** The same backend; `disconnectBlocking` ends `waitForJob`, at the latest when the next attempt to connect begins. */
export function endableBackend(backend: Backend): Backend {
  const waitForJob = backend.waitForJob.bind(backend);
  const disconnect = backend.disconnectBlocking.bind(backend);
  let end = () => {};
  backend.waitForJob = (seconds) => {
    const ended = new Promise<null>((resolve) => {
      end = () => resolve(null);
    });
    return Promise.race([waitForJob(seconds), ended]);
  };
  backend.disconnectBlocking = async (wait) => {
    const client = await backend.blockingClient;
    while (client?.status === 'reconnecting')
      await new Promise<void>((resolve) => client.once('connecting', () => resolve()));
    await disconnect(wait);
    end();
  };
  return backend;
}
