// The parts of the benchmark by their name on the command line, in the order in which they run. Each starts the processes
// that it needs, measures in rounds, stops them, and returns the rows of the table.

import { measureBatches } from './parts/batches.ts';
import { measureCounts } from './parts/counts.ts';
import { measureCreates } from './parts/creates.ts';
import { measureDeliveries } from './parts/deliveries.ts';
import { measureDurability } from './parts/durability.ts';
import { measureFairness } from './parts/fairness.ts';
import { measureGets } from './parts/gets.ts';
import { measureGrowth } from './parts/growth.ts';
import { measureHanging } from './parts/hanging.ts';
import { measureAttack } from './parts/hostile.ts';
import { measureLatency } from './parts/latency.ts';
import { measureLists } from './parts/lists.ts';
import { measureLives } from './parts/lives.ts';
import { measureLoads } from './parts/loads.ts';
import { measureMatching } from './parts/matching.ts';
import { measureMemory } from './parts/memory.ts';
import { measurePurge } from './parts/purge.ts';
import { measureStarts } from './parts/starts.ts';
import { measureStats } from './parts/stats.ts';
import { measureStreams } from './parts/streams.ts';
import { measureTimers } from './parts/timers.ts';
import type { Measured, Size } from './rounds.ts';
import type { BenchEnvironment } from './stage.ts';

type Part = (stage: BenchEnvironment, size: Size) => Promise<Measured>;

export const PARTS: Record<string, Part> = {
  counts: measureCounts,
  creates: measureCreates,
  loads: measureLoads,
  gets: measureGets,
  batches: measureBatches,
  lives: measureLives,
  deliveries: measureDeliveries,
  latency: measureLatency,
  timers: measureTimers,
  matching: measureMatching,
  lists: measureLists,
  growth: measureGrowth,
  streams: measureStreams,
  memory: measureMemory,
  starts: measureStarts,
  stats: measureStats,
  durability: measureDurability,
  hanging: measureHanging,
  purge: measurePurge,
  hostile: measureAttack,
  fairness: measureFairness,
};
