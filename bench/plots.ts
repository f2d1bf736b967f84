// Draws the plots of a result as SVG files that can be read on light and dark pages.

import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { Plot as PlotData } from './rounds.ts';

/** Visible on white and on black. */
const COLORS = ['#2f7bd1', '#d9480f', '#2b8a3e', '#ae3ec9', '#868e96', '#0c8599', '#e03131', '#7048e8'];
const LINE_HEIGHT = 16;
const STYLE = `
  svg { color: #1f2328; background: #fff; font-family: system-ui, sans-serif; }
  @media (prefers-color-scheme: dark) { svg { color: #e6edf3; background: #16181d; } }
`;

interface SvgElement {
  outerHTML: string;
  setAttribute(name: string, value: string): void;
  prepend(...children: unknown[]): void;
}

/** The SVG of a plot: a line with the quartiles for each series, whose names stand above it in its color. */
export function drawPlot({ title, x, y, log, points }: PlotData): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const series = [...new Set(points.map((point) => point.series))];
  const ofSeries = (value: string) => COLORS[series.indexOf(value) % COLORS.length] ?? 'currentColor';
  const drawn = points.map((point) => ({ ...point, color: ofSeries(point.series) }));
  const top = LINE_HEIGHT * (series.length + 2);
  const ticks = [...new Set(points.map((point) => point.x))];
  const drawing = Plot.plot({
    document: document as unknown as Document,
    width: 720,
    height: 320 + top,
    marginTop: top,
    marginLeft: 60,
    marginRight: 24,
    marginBottom: 44,
    style: { fontSize: '12px' },
    x: { type: log.x ? 'log' : 'linear' },
    y: { type: log.y ? 'log' : 'linear', zero: !log.y, nice: true },
    color: { type: 'identity' },
    marks: [
      // Every tick has its text, which a logarithmic axis otherwise leaves out.
      Plot.gridX(ticks),
      Plot.axisX(ticks, { label: x, text: ticks.map(String) }),
      ...(log.y
        ? [
            Plot.gridY(powers(points)),
            Plot.axisY(powers(points), { label: null, text: powers(points).map(String) }),
          ]
        : [Plot.gridY(), Plot.axisY({ label: null })]),
      Plot.areaY(drawn, { x: 'x', y1: 'low', y2: 'high', z: 'series', fill: 'color', fillOpacity: 0.2 }),
      Plot.line(drawn, { x: 'x', y: 'median', z: 'series', stroke: 'color', strokeWidth: 2 }),
      Plot.dot(drawn, { x: 'x', y: 'median', fill: 'color', r: 3 }),
      Plot.text([`${title}, ${y}`], {
        frameAnchor: 'top-left',
        dy: -top + 10,
        dx: -50,
        fontSize: 14,
        fontWeight: 'bold',
      }),
      series.map((name, index) =>
        Plot.text([`● ${name}`], {
          frameAnchor: 'top-left',
          dx: -50,
          dy: -top + 32 + LINE_HEIGHT * index,
          fill: ofSeries(name),
        }),
      ),
    ],
  });
  // Of linkedom's document, and typed by a DOM that Node does not have.
  const svg = drawing as unknown as SvgElement;
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  const style = document.createElement('style');
  style.textContent = STYLE;
  const name = document.createElement('title');
  name.textContent = title;
  svg.prepend(name, style);
  return `${svg.outerHTML}\n`;
}

/** The powers of ten around the values, with 2 and 5 times each. */
function powers(points: PlotData['points']): number[] {
  const least = Math.min(...points.map(({ low }) => low).filter((low) => low > 0));
  const most = Math.max(...points.map(({ high }) => high));
  const all = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(most)); power += 1)
    all.push(...[1, 2, 5].map((digit) => Number((digit * 10 ** power).toPrecision(1))));
  return all.filter((one) => one >= least / 2 && one <= most * 2);
}
