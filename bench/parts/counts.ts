// What a create and a whole life cost in Redis, one at a time, so that the counts are exact. `script/check-budget` compares the
// same counts with their budget.

import { lowerQuartile } from '../budget.ts';
import { type Life, LifeSeries, stepCosts, total } from '../life-steps.ts';
import type { Cost } from '../measures.ts';
import { type Measured, row, type Size } from '../rounds.ts';
import type { BenchEnvironment } from '../stage.ts';

const FIELDS: [field: keyof Cost, unit: string][] = [
  ['commands', 'commands'],
  ['round_trips', 'round trips'],
  ['bytes_in', 'bytes in'],
  ['bytes_out', 'bytes out'],
];
/** Lives of a round: one of them may have periodic work beside it. */
const LIVES = 3;

export async function measureCounts(stage: BenchEnvironment, { rounds }: Size): Promise<Measured> {
  const series = await LifeSeries.start(stage);
  await series.measure(LIVES * rounds);
  await series.stop();
  const ofRounds = (lives: readonly Life[]) =>
    Array.from({ length: rounds }, (_, round) =>
      stepCosts(lives.slice(round * LIVES, (round + 1) * LIVES), lowerQuartile),
    );
  const [without, hooked] = [ofRounds(series.lives.without), ofRounds(series.lives.hooked)];
  const rows = (what: string, lives: readonly Life[], costOf: (life: Life) => Cost, aims: Partial<Cost>) =>
    FIELDS.map(([field, unit]) => {
      const aim = aims[field];
      return row(
        [`${what}: ${unit}`, '', 'lower'],
        lives.map((life) => costOf(life)[field]),
        null,
        aim === undefined ? '' : `≤ ${aim}`,
      );
    });
  const createOf = (life: Life) => {
    const cost = life.get('create');
    if (cost === undefined) throw new Error('no create was measured');
    return cost;
  };
  return {
    rows: [
      ...rows('create', without, createOf, {}),
      ...rows('life', without, total, { commands: 200, round_trips: 12 }),
      ...rows('life with nine webhooks', hooked, total, { commands: 450 }),
    ],
  };
}
