// A plot of numbers over time (uPlot, on a canvas), with a legend and the same numbers as a table for those who cannot see it.

import { type ReactNode, useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Card } from '../../shared/ui/containers.tsx';
import { useOverview } from '../messages.ts';
import './plot.css';

export interface Series {
  label: string;
  /** Name of a custom property of the theme, such as `green`. */
  colour: 'accent' | 'green' | 'red' | 'amber' | 'violet' | 'text-muted';
  /** One for each time; null for none. */
  values: readonly (number | null)[];
}

const HEIGHT = 180;
/** Distances between the lines of the vertical axis: no halves of a task or a second. */
const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((one) => one * 10 ** power)).flat();

/** @param times starts of the intervals, seconds since 1970. @param write a value as the axis and the table show it */
export function Plot({
  title,
  hint,
  times,
  series,
  write,
}: {
  title: string;
  hint?: ReactNode;
  times: readonly number[];
  series: readonly Series[];
  write: (value: number) => string;
}) {
  const text = useOverview();
  const isEmpty = series.every(({ values }) => values.every((one) => one === null || one === 0));
  return (
    <Card title={title}>
      {hint !== undefined && <p className="small muted">{hint}</p>}
      {isEmpty ? (
        <p className="muted plot-empty">{text.noData}</p>
      ) : (
        <>
          <ul className="plot-legend small">
            {series.map(({ label, colour }) => (
              <li key={label}>
                <span className={`plot-swatch plot-${colour}`} aria-hidden="true" />
                {label}
              </li>
            ))}
          </ul>
          <Canvas title={title} times={times} series={series} write={write} />
          <Numbers times={times} series={series} write={write} />
        </>
      )}
    </Card>
  );
}

function Canvas({
  title,
  times,
  series,
  write,
}: {
  title: string;
  times: readonly number[];
  series: readonly Series[];
  write: (value: number) => string;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const format = useFormat();
  const theme = useTheme();
  const [hovered, setHovered] = useState<number | null>(null);
  const isByDay = (times[1] ?? 0) - (times[0] ?? 0) >= 24 * 3600;
  // The plot is made again when anything changes: there are few points.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are read from the theme.
  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const colours = getComputedStyle(element);
    const colourOf = (name: string) => colours.getPropertyValue(`--plot-${name}`).trim();
    const grid = { stroke: colourOf('grid'), width: 1 };
    const axis = { stroke: colourOf('text-muted'), grid, ticks: grid, font: '12px system-ui, sans-serif' };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        series: [
          {},
          ...series.map(({ label, colour }) => ({
            label,
            stroke: colourOf(colour),
            width: 2,
            spanGaps: true,
            points: { size: 5 },
          })),
        ],
        axes: [
          {
            ...axis,
            values: (_plot, at) =>
              at.map((one) => (isByDay ? format.date(one * 1000) : format.time(one * 1000))),
            space: 90,
          },
          { ...axis, values: (_plot, at) => at.map(write), size: 64, incrs: WHOLE },
        ],
        scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.1)] } },
        hooks: { setCursor: [(one) => setHovered(one.cursor.idx ?? null)] },
      },
      [[...times], ...series.map(({ values }) => [...values])],
      element,
    );
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [times, series, write, theme, isByDay, format]);
  const at = hovered === null ? undefined : times[hovered];
  return (
    <div>
      <div ref={frame} className="plot" role="img" aria-label={title} />
      <p className="small muted numeric plot-hover" aria-hidden="true">
        {at !== undefined && hovered !== null && (
          <>
            {isByDay ? format.date(at * 1000) : format.dateTime(at * 1000)}
            {series.map(({ label, values }) => {
              const value = values[hovered];
              return ` · ${label} ${typeof value === 'number' ? write(value) : '–'}`;
            })}
          </>
        )}
      </p>
    </div>
  );
}

/** Changes whenever the colours of the page do. */
function useTheme(): string {
  const [theme, setTheme] = useState('');
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const note = () => setTheme(`${dark.matches} ${document.documentElement.dataset.theme ?? ''}`);
    const observer = new MutationObserver(note);
    observer.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    dark.addEventListener('change', note);
    return () => {
      observer.disconnect();
      dark.removeEventListener('change', note);
    };
  }, []);
  return theme;
}

function Numbers({
  times,
  series,
  write,
}: {
  times: readonly number[];
  series: readonly Series[];
  write: (value: number) => string;
}) {
  const text = useOverview();
  const format = useFormat();
  return (
    <details>
      <summary className="small muted">{text.table}</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard. */}
      <section className="table-frame plot-table" aria-label={text.table} tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th>{text.time}</th>
              {series.map(({ label }) => (
                <th key={label} className="cell-end">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {times.map((time, index) => (
              <tr key={time}>
                <td>{format.dateTime(time * 1000)}</td>
                {series.map(({ label, values }) => {
                  const value = values[index];
                  return (
                    <td key={label} className="cell-end numeric">
                      {typeof value === 'number' ? write(value) : '–'}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}
