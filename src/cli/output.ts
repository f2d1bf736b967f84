// What a command says: on stdout its answer, as one JSON document or as a short table; on stderr all else.

import { elided } from '../state/text/text.ts';
import { at } from './value.ts';

/** Where the output goes. A terminal knows its width. */
export interface Sink {
  write(text: string): unknown;
  once?(event: 'drain', listener: () => void): unknown;
  columns?: number | undefined;
}

export class Output {
  readonly json: boolean;
  readonly #stdout: Sink;
  readonly #stderr: Sink;

  constructor(stdout: Sink, stderr: Sink, json: boolean) {
    this.json = json;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  /** The answer of the command: `document` as it is with `--json`, else what `human` prints. */
  answer(document: unknown, human: () => void): void {
    if (this.json) this.#stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    else human();
  }

  /** A line of the answer, for people. */
  line(text: string): void {
    this.#stdout.write(`${printable(text)}\n`);
  }

  /** A line of an answer that comes bit by bit, its first cells of known width; with `--json` not shown. */
  live(cells: readonly string[]): void {
    if (!this.json) this.#row(cells);
  }

  /** Something beside the answer. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  /** One thing, a line a field; `fields` are paths such as `sla.urgency`, left out where there is nothing. */
  record(value: unknown, fields: readonly string[]): void {
    const rows = fields.map((field) => [field, show(at(value, ...field.split('.')))] as const);
    const shown = rows.filter(([, text]) => text !== '');
    const width = Math.max(0, ...shown.map(([field]) => field.length));
    for (const [field, text] of shown) this.#stdout.write(`${field.padEnd(width)}  ${printable(text)}\n`);
  }

  /** Several things, a line each; a column's head is the last name of its path. */
  table(values: readonly unknown[], fields: readonly string[]): void {
    const head = fields.map((field) => field.split('.').at(-1) ?? '');
    const rows = values.map((value) => fields.map((field) => show(at(value, ...field.split('.'))) || '-'));
    this.rows([head, ...rows]);
  }

  /** Lines of cells, in columns as wide as they need to be. */
  rows(rows: readonly (readonly string[])[]): void {
    const clean = rows.map((row) => row.map(printable));
    const widths = (clean[0] ?? []).map((_, index) =>
      Math.max(...clean.map((row) => row[index]?.length ?? 0)),
    );
    for (const row of clean) this.#row(row.map((cell, index) => cell.padEnd(widths[index] ?? 0)));
  }

  /** A line that is cut where the terminal ends. */
  #row(cells: readonly string[]): void {
    this.#stdout.write(`${cut(printable(cells.join('  ')).trimEnd(), this.#stdout.columns)}\n`);
  }
}

/** A value in one line. */
function show(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Text without characters that steer a terminal: titles and notes come from anybody. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be found.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '�');
}

function cut(text: string, columns: number | undefined): string {
  return columns !== undefined && columns > 1 ? elided(text, columns) : text;
}
