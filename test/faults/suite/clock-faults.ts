// Clocks that are wrong, set with libfaketime: of processes, which must not matter, and of Redis, whose jumps hold
// deadlines and expiries.

import { NO_FAKETIME } from '../../support/faketime.ts';
import { PARTS, type Part } from '../system.ts';
import { type Fault, pause } from './scene.ts';

const CLOCKS = { skipped: NO_FAKETIME, system: { clocks: true } } as const;
/** libfaketime reads a new setting within a second. */
const SEEN_MS = 1000;

/** Sets clocks; the heal sets them to the real time, and waits until they show it. */
const set =
  (ahead: Partial<Record<Part, string>>): Fault['inject'] =>
  async ({ system }) => {
    for (const [part, value] of Object.entries(ahead)) await system.clocks?.set(part, value);
    return async () => {
      for (const part of PARTS) await system.clocks?.set(part, '+0');
      await pause(SEEN_MS);
    };
  };

/** Sets a clock to some values, one after the other. */
const jumping =
  (parts: readonly Part[], ...values: string[]): Fault['inject'] =>
  async (scene) => {
    for (const value of values) {
      await set(Object.fromEntries(parts.map((part) => [part, value])))(scene);
      await pause(2 * SEEN_MS);
    }
    return set({})(scene);
  };

export const CLOCK_FAULTS: readonly Fault[] = [
  {
    name: 'clocks of web +2 h, workers -3 h and +26 h (libfaketime)',
    inject: set({ web: '+2h', 'worker 1': '-3h', 'worker 2': '+26h' }),
    holdMs: 6000,
    ...CLOCKS,
  },
  {
    name: 'clocks of all processes jump by days and back (libfaketime)',
    inject: jumping(['web', 'worker 1', 'worker 2'], '+3d', '-2d', '+1h'),
    ...CLOCKS,
  },
  {
    name: "Redis' clock jumps +90 s and back (libfaketime)",
    inject: set({ redis: '+90' }),
    holdMs: 6000,
    ...CLOCKS,
  },
  {
    name: "Redis' clock jumps -90 s and back (libfaketime)",
    inject: set({ redis: '-90' }),
    holdMs: 6000,
    ...CLOCKS,
  },
  {
    name: "Redis' clock jumps +400 d and back (libfaketime)",
    inject: set({ redis: '+400d' }),
    holdMs: 6000,
    ...CLOCKS,
  },
  {
    name: "Redis' clock runs 5 % fast (libfaketime)",
    inject: set({ redis: '+0 x1.05' }),
    holdMs: 10_000,
    ...CLOCKS,
  },
];
