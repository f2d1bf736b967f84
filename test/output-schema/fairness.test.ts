// The schemas of one org do not delay those of another.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FairQueue } from '../../src/output-schema/fair-queue.ts';
import { CheckerBusyError, OutputSchemas } from '../../src/output-schema/output-schemas.ts';

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
const level = { $ref: '#/$defs/t' };
const properties = { a: level };
/** Each level of an output doubles the work, so a hundred levels never end. */
const doubling = (title: string) => ({
  $schema: DIALECT,
  title,
  ...level,
  $defs: { t: { type: 'object', properties, allOf: [{ type: 'object', properties }] } },
});
const nested = (levels: number): unknown => (levels === 0 ? {} : { a: nested(levels - 1) });
const quick = { type: 'object', properties: { done: { type: 'boolean' } } };

describe('FairQueue', () => {
  const jobs = (owner: string, count: number) => Array.from({ length: count }, () => ({ owner }));

  it('takes the next job from the owner whose jobs have taken the least time', () => {
    const queue = new FairQueue<{ owner: string }>();
    for (const job of [...jobs('slow', 3), ...jobs('quick', 3)]) queue.add(job);
    const order: string[] = [];
    for (let job = queue.take(1); job !== undefined; job = queue.take(1)) {
      order.push(job.owner);
      queue.end(job, job.owner === 'slow' ? 1000 : 1);
    }
    expect(order).toEqual(['slow', 'quick', 'quick', 'quick', 'slow', 'slow']);
    expect(queue.length).toBe(0);
  });

  it('does not charge a new owner for the time that others used before', () => {
    const queue = new FairQueue<{ owner: string }>();
    for (const job of jobs('early', 5)) queue.add(job);
    for (let count = 0; count < 2; count += 1) {
      const job = queue.take(1);
      if (job !== undefined) queue.end(job, 100);
    }
    for (const job of jobs('late', 5)) queue.add(job);
    const order = Array.from({ length: 4 }, () => {
      const job = queue.take(1);
      if (job !== undefined) queue.end(job, 100);
      return job?.owner;
    });
    expect(order).toEqual(['late', 'early', 'late', 'early']);
  });

  it('never runs more jobs of one owner than allowed', () => {
    const queue = new FairQueue<{ owner: string }>();
    for (const job of [...jobs('a', 3), ...jobs('b', 1)]) queue.add(job);
    expect([queue.take(1)?.owner, queue.take(1)?.owner, queue.take(1)]).toEqual(['a', 'b', undefined]);
  });
});

describe('an org whose outputs take very long to check', () => {
  // None of its jobs ends during the test.
  const own = new OutputSchemas({ deadlineMs: 600_000, maxWaitMs: 600_000, maxWaitingOfOrg: 2 });
  const settled: unknown[] = [];
  const refused: unknown[] = [];

  beforeAll(async () => {
    await own.check(quick, 'other');
    for (let index = 0; index < 8; index += 1)
      own.validate(doubling(`slow ${index}`), nested(40), 'hostile').then(
        (problems) => settled.push(problems),
        (error: unknown) => refused.push(error),
      );
  });

  afterAll(() => own.close());

  it('does not delay the checks of another org', async () => {
    for (let count = 0; count < 5; count += 1)
      expect(await own.validate(quick, { done: true }, 'other')).toEqual([]);
    expect(settled).toEqual([]);
  });

  it('is refused when too many of its jobs wait', async () => {
    // One runs, two wait.
    expect(refused).toHaveLength(5);
    for (const error of refused) expect(error).toBeInstanceOf(CheckerBusyError);
  });
});
