// The plots of the benchmark as SVG.
import { expect, it } from 'vitest';
import { drawPlot } from '../../bench/plots.ts';

it('draws a plot that is an SVG file of its own, with the names of its series', () => {
  const point = (series: string, x: number) => ({ series, x, median: x, low: x, high: x, rounds: 1 });
  const svg = drawPlot({
    file: 'test',
    title: 'Creates & gets',
    x: 'connections',
    y: 'ms',
    log: { x: true, y: true },
    points: ['ours', 'base'].flatMap((series) => [1, 10, 100].map((x) => point(series, x))),
  });
  expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  expect(svg).toContain('Creates &amp; gets');
  for (const series of ['ours', 'base']) expect(svg).toContain(`● ${series}`);
  expect(svg).toContain('prefers-color-scheme: dark');
  expect(svg).not.toMatch(/NaN|undefined/);
});
