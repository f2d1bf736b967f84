// `npm run bench`: prints a table on stderr and a JSON document on stdout. `-- --quick` takes about eight minutes,
// `-- creates lives` measures only these parts, `-- --compare FILE` says what is worse than in an earlier JSON document, and
// `-- --write` writes docs/benchmark.md, as a full run always does. `-- --large` measures lists among a million tasks.
// `-- account` prints what each step of a task costs. Compare ratios, not figures, between machines.

import { readFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { measureAccount } from './account.ts';
import { compareResults, type Result } from './compare.ts';
import { writePage } from './page.ts';
import { PARTS } from './parts.ts';
import type { Measured, Size, Summary } from './rounds.ts';
import { startBenchEnvironment } from './stage.ts';

const FULL = { scale: 1, rounds: 5 };
const QUICK = { scale: 0.1, rounds: 3 };

const { values, positionals } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    compare: { type: 'string' },
    write: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
if (positionals.join() === 'account') {
  for (const line of await measureAccount(values.quick ? 6 : 20)) process.stdout.write(`${line}\n`);
  process.exit();
}
const unknown = positionals.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  say(`Unknown part: ${unknown.join(', ')}. Parts: account, ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
const earlier =
  values.compare === undefined ? null : (JSON.parse(await readFile(values.compare, 'utf8')) as Result);
const size: Size = { ...(values.quick ? QUICK : FULL), isLarge: values.large };
const names = positionals.length > 0 ? positionals : Object.keys(PARTS);
const result = await measureParts(names);
say('');
table([
  ['', 'unit', 'ours', 'spread', 'baseline', 'spread', 'ratio', 'spread', 'rounds'],
  ...Object.values(result.parts).flatMap(({ rows }) =>
    rows.map(({ name, unit, ours, base, ratio }) => [
      name,
      unit,
      ...cells(ours),
      ...cells(base),
      ...cells(ratio),
      `${ours.rounds}`,
    ]),
  ),
]);
if (values.quick) say(`\nA quick run: ${size.rounds} rounds of a tenth of the work, so more noise.`);
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
if (values.write || (!values.quick && positionals.length === 0)) await writePage(result);
if (earlier !== null && reportDifferences(earlier)) process.exitCode = 1;

async function measureParts(
  wanted: readonly string[],
): Promise<Result & { parts: Record<string, Measured> }> {
  const parts: Record<string, Measured> = {};
  let redis = '';
  const load = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  for (const name of wanted) {
    const begun = performance.now();
    // Each part has its own Redis, so that the data of one part does not affect the next.
    const stage = await startBenchEnvironment();
    try {
      redis = /redis_version:(\S+)/.exec(await stage.redis.info('server'))?.[1] ?? '';
      parts[name] = (await PARTS[name]?.(stage, size)) ?? { rows: [] };
    } catch (error) {
      // The other parts still count.
      say(`${name} failed: ${error instanceof Error ? error.stack : error}`);
      process.exitCode = 1;
    } finally {
      await stage.close();
    }
    say(`${name}: ${Math.round((performance.now() - begun) / 1000)} s`);
  }
  return {
    machine: { node: process.version, cpus: cpus().length, redis: `${redis}, AOF everysec`, load },
    at: new Date().toISOString(),
    is_quick: values.quick,
    parts,
  };
}

/** Prints what differs. @returns whether something is worse. */
function reportDifferences(before: Result): boolean {
  const all = compareResults(before, result);
  const changed = all.filter(({ verdict }) => verdict !== 'same');
  say(`\nCompared with ${values.compare}: ${all.length} rows, ${changed.length} differ beyond noise.`);
  if (before.is_quick !== result.is_quick) say('One of the runs was quick, so their sizes differ.');
  const head = ['', 'by', 'before', 'spread', 'after', 'spread', ''];
  if (changed.length > 0)
    table([
      head,
      ...changed.map((one) => [one.name, one.by, ...cells(one.before), ...cells(one.after), one.verdict]),
    ]);
  return changed.some(({ verdict }) => verdict === 'worse');
}

function cells(of: Summary | null): string[] {
  return of === null ? ['', ''] : [`${of.median}`, of.rounds > 1 ? `${of.low}–${of.high}` : ''];
}

function table(lines: string[][]): void {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  for (const line of lines)
    say(
      line
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    );
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
