// Faults that happen together. The pairs are named, so that each has a row; the moments of their beginnings are drawn.

import { Random } from '../../../src/simulation/random.ts';
import { CLOCK_FAULTS } from './clock-faults.ts';
import { LOAD_FAULTS } from './load-faults.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { REDIS_FAULTS } from './redis-faults.ts';
import { type Fault, pause } from './scene.ts';
import { SIZE_FAULTS } from './size-faults.ts';
import { UPGRADE_FAULTS } from './upgrade.ts';

const SINGLE = [
  ...PROCESS_FAULTS,
  ...CLOCK_FAULTS,
  ...REDIS_FAULTS,
  ...NETWORK_FAULTS,
  ...LOAD_FAULTS,
  ...SIZE_FAULTS,
  ...UPGRADE_FAULTS,
];

const MIXES = [
  ['kill -9 Redis', 'kill -9 web'],
  ['kill -9 all workers (relays)', "keys of BullMQ's queues deleted"],
  ['SIGSTOP one worker past the lock', 'kill -9 one worker'],
  ['SIGSTOP one worker past the lock', 'kill -9 Redis'],
  ['kill -9 web', 'SCRIPT FLUSH, 10 times', 'CLIENT KILL of all connections, 5 times'],
  ['outbox group deleted', 'kill -9 one worker'],
  ['latency of 100 ms to Redis', 'kill -9 one worker'],
  ['loss: retransmissions and broken connections', 'kill -9 web'],
  ['receiver answers 500 for 5 s', 'kill -9 all workers (relays)'],
  ['maxmemory reached for 6 s', 'kill -9 one worker'],
  ['poisoned jobs in four queues', 'kill -9 Redis'],
  ['event loop of a worker blocked past the lock', 'CLIENT KILL of subscribers, 5 times'],
] as const;

/** The faults one beside the other; each begins within the first second. */
function together(names: readonly string[]): Fault {
  const parts = names.map((name) => {
    const fault = SINGLE.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`there is no fault ${name}`);
    return fault;
  });
  return {
    name: names.join(' + '),
    system: Object.assign({}, ...parts.map(({ system }) => system)),
    async inject(scene) {
      const delays = parts.map(() => scene.random.integer(0, 1000));
      await Promise.all(
        parts.map(async ({ inject, holdMs = 0 }, at) => {
          await pause(delays[at] ?? 0);
          const heal = await inject(scene);
          await pause(holdMs);
          await heal?.();
        }),
      );
    },
  };
}

/** Faults that may happen beside any other of them. */
const COMBINABLE = [
  'kill -9 web',
  'kill -9 one worker',
  'kill -9 Redis',
  'SIGSTOP web 5 s',
  'SIGSTOP one worker past the lock',
  'SIGSTOP Redis 6 s',
  'CLIENT KILL of all connections, 5 times',
  'SCRIPT FLUSH, 10 times',
  'DEBUG SLEEP 3 s, twice',
  "keys of BullMQ's queues deleted",
  'outbox group deleted',
  'latency of 100 ms to Redis',
  'poisoned outbox entries',
  'receiver answers 500 for 5 s',
];
const DRAWN_MIXES = 4;
const FAULTS_OF_A_MIX = 4;

/** All rows of the table. @param seed decides which faults the drawn mixes have */
export function faultsOf(seed: string): Fault[] {
  const drawn = Array.from({ length: DRAWN_MIXES }, (_, nth) => {
    const random = new Random(`${seed}/mix ${nth}`);
    const rest = [...COMBINABLE];
    const names = Array.from(
      { length: FAULTS_OF_A_MIX },
      () => rest.splice(random.integer(0, rest.length - 1), 1)[0] ?? '',
    );
    return together(names);
  });
  return [...SINGLE, ...MIXES.map(together), ...drawn];
}
