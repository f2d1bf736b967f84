// `npm run bench`: prints a table on stderr and a JSON document on stdout. Every figure has a baseline from the same run;
// compare ratios, not figures, between machines. `npm run bench -- --quick` does a tenth of the work, and
// `npm run bench -- creates lives` runs only these parts.

import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Cell } from './measures.ts';
import { PARTS } from './parts.ts';
import { startBenchEnvironment } from './stage.ts';

const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  say(`Unknown part: ${unknown.join(', ')}. Parts: ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
const figures: Record<string, unknown> = {
  machine: { node: process.version, cpus: cpus().length, redis: 'AOF everysec' },
};
const rows: Cell[][] = [];
for (const [name, measure] of Object.entries(PARTS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  say(`${name} …`);
  // Each part has its own Redis, so that the data of one part does not affect the next.
  const stage = await startBenchEnvironment();
  try {
    const measured = await measure(stage, values.quick ? 0.1 : 1);
    figures[name] = measured.figures;
    rows.push(...measured.rows);
  } finally {
    await stage.close();
  }
}
say('');
for (const row of [['', 'ours', 'baseline', 'ratio'], ...rows])
  say(
    row
      .map((cell, index) => (index === 0 ? String(cell).padEnd(52) : String(cell).padStart(12)))
      .join('')
      .trimEnd(),
  );
say('');
process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
