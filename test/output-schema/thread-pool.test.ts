// An untrusted schema or output cannot block this process, end it, or keep it alive.
import { execFile } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { CheckerBusyError, OutputSchemas, type PoolLimits } from '../../src/output-schema/output-schemas.ts';

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
const SECOND = 1_000;
/** Far above the defaults, so that a busy machine does not make other tests fail. */
const PATIENT = { deadlineMs: 20 * SECOND, maxWaitMs: 60 * SECOND };

vi.setConfig({ testTimeout: 120 * SECOND });

/** Runs a test with its own pool and closes it. */
async function withLimits(
  limits: Partial<PoolLimits>,
  use: (own: OutputSchemas) => Promise<void>,
): Promise<void> {
  const own = new OutputSchemas({ ...PATIENT, ...limits });
  try {
    await use(own);
  } finally {
    await own.close();
  }
}

const object = (properties: Record<string, unknown>, more: object = {}): Record<string, unknown> => ({
  type: 'object',
  properties,
  ...more,
});
/** Valid at every level, because collected errors would use memory instead of time. */
const nested = (levels: number): unknown => (levels === 0 ? {} : { a: nested(levels - 1) });

describe('hostile schemas and outputs', () => {
  /** Each level doubles the work, so a hundred levels never end. */
  const doubling = {
    $schema: DIALECT,
    $ref: '#/$defs/t',
    $defs: { t: object({ a: { $ref: '#/$defs/t' } }, { allOf: [object({ a: { $ref: '#/$defs/t' } })] }) },
  };
  const monster = object(
    { a: { $ref: '#/$defs/d39' } },
    {
      $defs: Object.fromEntries(
        Array.from({ length: 40 }, (_, level) => {
          const next = { $ref: `#/$defs/d${level - 1}` };
          return [`d${level}`, level === 0 ? true : { allOf: [next, next] }];
        }),
      ),
    },
  );

  it('are refused without blocking the event loop', async () => {
    await withLimits({ deadlineMs: 2 * SECOND }, async (own) => {
      await own.check(object({}));
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      const answers = await Promise.all([
        own.check(monster),
        own.check(object({ a: { pattern: `^(${'a?'.repeat(30)}${'a'.repeat(30)})$` } })),
        own.check(object({ a: { pattern: '^(([a-z])+.)+[A-Z]([a-z])+$' } })),
        own.validate(doubling, nested(100)),
        own.validate(object({ a: { pattern: '(x.*){2}y' } }), { a: 'x'.repeat(200_000) }),
      ]);
      delay.disable();
      expect(answers.map(([problem]) => problem?.message)).toEqual([
        expect.stringContaining('expands to more than'),
        expect.stringContaining('can backtrack catastrophically'),
        expect.stringContaining('can backtrack catastrophically'),
        'takes too long to check',
        expect.stringContaining('must match pattern'),
      ]);
      expect(delay.max / 1e6).toBeLessThan(SECOND);
      expect(await own.validate(object({ a: true }), { a: 1 })).toEqual([]);
    });
  });

  it('do not end the process by their use of memory', async () => {
    await withLimits({ threads: 1, heapMb: 24, deadlineMs: 60 * SECOND }, async (own) => {
      await own.check(object({}));
      // No branch matches any item, and the errors of all branches are kept until the last one is tried.
      const flood = {
        $schema: DIALECT,
        contains: { anyOf: Array.from({ length: 1_000 }, () => ({ type: 'string' })) },
      };
      const [problem] = await own.validate(
        flood,
        Array.from({ length: 60_000 }, () => 1),
      );
      expect(problem?.message).toBe('takes too much memory to check');
      expect(await own.validate(object({ a: true }), { a: 1 })).toEqual([]);
    });
  });

  it('get at most fifty problems, and the search stops after a thousand errors', async () => {
    await withLimits({ threads: 1, heapMb: 48, deadlineMs: 60 * SECOND }, async (own) => {
      const strict = {
        $schema: DIALECT,
        items: { allOf: Array.from({ length: 1_000 }, () => ({ type: 'string' })) },
      };
      const wrong = Array.from({ length: 60_000 }, () => 1);
      // All errors would not fit into the memory of the thread.
      expect(await own.validate(strict, wrong)).toEqual([{ pointer: '/0', message: 'must be string' }]);
      const named = Object.fromEntries(wrong.slice(0, 10_000).map((one, at) => [`wrong-${at}`, one]));
      const closed = { $schema: DIALECT, additionalProperties: { not: true } };
      expect(await own.validate(closed, named)).toHaveLength(50);
    });
  });

  it('do not affect the results of the jobs that wait behind them', async () => {
    await withLimits({ threads: 1, deadlineMs: SECOND }, async (own) => {
      const [late, ...others] = await Promise.all([
        own.validate(doubling, nested(100)),
        ...Array.from({ length: 20 }, () => own.validate(object({ a: { type: 'string' } }), { a: 'x' })),
      ]);
      expect(late?.[0]?.message).toBe('takes too long to check');
      expect(others).toEqual(others.map(() => []));
    });
  });
});

describe('the pool', () => {
  it('checks a schema once for all concurrent calls', async () => {
    await withLimits({ threads: 1, maxWaiting: 1 }, async (own) => {
      const answers = await Promise.all(Array.from({ length: 1_000 }, () => own.check(object({ a: {} }))));
      expect(new Set(answers.map(String))).toEqual(new Set(['']));
      expect(await own.check(object({ a: {} }))).toEqual([]);
    });
  });

  it('rejects with CheckerBusyError when too many jobs wait', async () => {
    await withLimits({ threads: 1, maxWaiting: 2 }, async (own) => {
      const asked = Array.from({ length: 4 }, (_, at) => own.check(object({ [`a${at}`]: {} })));
      const settled = await Promise.allSettled(asked);
      const refusals = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
      expect(refusals.length).toBeGreaterThan(0);
      for (const refusal of refusals) expect(refusal).toBeInstanceOf(CheckerBusyError);
    });
  });

  it('rejects running and later checks when it is closed', async () => {
    const own = new OutputSchemas();
    const running = expect(own.check(object({ a: {} }))).rejects.toThrow(CheckerBusyError);
    await own.close();
    await running;
    await expect(own.check(object({ b: {} }))).rejects.toThrow(CheckerBusyError);
    expect(await own.check({ a: 'string' })).toEqual([]);
    await own.close();
  });

  it('does not keep a process alive', async () => {
    const module = new URL('../../src/output-schema/output-schemas.ts', import.meta.url);
    const script = `
      import { OutputSchemas } from ${JSON.stringify(module.href)};
      const schemas = new OutputSchemas();
      console.log(JSON.stringify(await schemas.validate(${JSON.stringify(object({ a: { type: 'string' } }))}, { a: 1 })));
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      { cwd: fileURLToPath(new URL('../..', import.meta.url)), timeout: 25 * SECOND },
    );
    expect(JSON.parse(stdout)).toEqual([{ pointer: '/a', message: 'must be string' }]);
  });
});
