// Writes a result as docs/benchmark.md with its plots in docs/images.

import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import type { Result } from './compare.ts';
import { drawPlot } from './plots.ts';
import type { Measured, Row, Summary } from './rounds.ts';

const PAGE = 'docs/benchmark.md';

/** Writes the page and the plots, in the current directory. */
export async function writePage(result: Result & { parts: Record<string, Measured> }): Promise<void> {
  const plots = Object.values(result.parts).flatMap((part) => part.plots ?? []);
  for (const plot of plots) await writeFile(`docs/images/benchmark-${plot.file}.svg`, drawPlot(plot));
  const { machine, is_quick: isQuick, at } = result;
  const rows = Object.values(result.parts).flatMap((part) => part.rows);
  const rounds = Math.max(...rows.map((row) => row.ours.rounds));
  const text = `# Benchmark

<!-- Written by npm run bench; do not edit. -->

What BioLayer does, and what the same work costs without it. Each baseline is measured **in the same run**, in turns with what
it is compared with; each figure is the median of ${rounds} rounds, unless the table says otherwise, with the lower and upper
quartile. A ratio is that of ours to the baseline, taken round by round. Ratios can be compared between machines, figures cannot.

## Conditions

- ${at.slice(0, 10)}, Node ${machine.node}, ${machine.cpus} processors, Redis ${machine.redis}; load average before the run: ${machine.load}.
- Redis, the production processes, the baselines, the receiver and the client share the machine, on loopback.
- ${isQuick ? '**A quick run**: a tenth of the work, so there is more noise and sizes are smaller.' : 'A full run.'}

## Repeat it

\`\`\`bash
npm run bench                            # everything; writes this page
npm run bench -- --quick                 # a tenth of the work; writes nothing
npm run bench -- creates lives           # these parts alone
npm run bench > before.json              # the result as JSON
npm run bench -- --compare before.json   # what is worse beyond noise; exit code 1 if something is
\`\`\`

[Performance](performance.md) says what each part measures and where the time goes.

## Plots

${plots.map(({ file, title }) => `![${title}](images/benchmark-${file}.svg)`).join('\n\n')}

## Figures

${Object.entries(result.parts)
  .map(([name, { rows: ofPart }]) => `### ${name}\n\n${table(ofPart, rounds)}`)
  .join('\n\n')}
`;
  await writeFile(PAGE, text);
  execFileSync('node_modules/.bin/biome', ['format', '--write', PAGE], { stdio: 'ignore' });
}

function table(rows: readonly Row[], rounds: number): string {
  const lines = rows.map(({ name, unit, ours, base, ratio, aim }) => {
    const note = ours.rounds === rounds ? '' : ` (${ours.rounds} ${ours.rounds === 1 ? 'round' : 'rounds'})`;
    const baseline = base === null ? '–' : `${figure(base)}: ${base.what}`;
    return `| ${name}${unit === '' ? '' : `, ${unit}`}${note} | ${figure(ours)} | ${baseline} | ${figure(ratio)} | ${aim} |`;
  });
  return ['| | ours | baseline | ratio | aim |', '| --- | --- | --- | --- | --- |', ...lines].join('\n');
}

function figure(of: Summary | null): string {
  if (of === null) return '–';
  return of.rounds > 1 && of.low !== of.high ? `**${of.median}** (${of.low}–${of.high})` : `**${of.median}**`;
}
