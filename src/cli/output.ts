// Output of a command: the result on stdout, as one JSON document or as a short table; everything else on stderr.

import { elided } from '../state/text/text.ts';
import { at } from './value.ts';

/** A stream for output; `columns` is the width of a terminal. */
export interface Sink {
  write(text: string): unknown;
  once?(event: 'drain', listener: () => void): unknown;
  columns?: number | undefined;
}

/** Prints the result of a command. */
export class Output {
  readonly json: boolean;
  readonly #stdout: Sink;
  readonly #stderr: Sink;

  constructor(stdout: Sink, stderr: Sink, json: boolean) {
    this.json = json;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  /** Prints the result: `document` as JSON with `--json`, otherwise whatever `human` prints. */
  answer(document: unknown, human: () => void): void {
    if (this.json) this.#stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    else human();
  }

  /** Prints a line of the readable result. */
  line(text: string): void {
    this.#stdout.write(`${printable(text)}\n`);
  }

  /** Prints a row of a result that arrives over time; nothing with `--json`. */
  live(cells: readonly string[]): void {
    if (!this.json) this.#row(cells);
  }

  /** Prints one result of many that arrive over time: a line of JSON with `--json`, otherwise a row. */
  item(document: unknown, cells: readonly string[]): void {
    if (this.json) this.#stdout.write(`${JSON.stringify(document)}\n`);
    else this.#row(cells);
  }

  /** Prints a remark on stderr. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  /** Prints one record, one field per line; `fields` are paths such as `sla.urgency`. Empty fields are omitted. */
  record(value: unknown, fields: readonly string[]): void {
    const rows = fields.map((field) => [field, show(at(value, ...field.split('.')))] as const);
    const shown = rows.filter(([, text]) => text !== '');
    const width = Math.max(0, ...shown.map(([field]) => field.length));
    for (const [field, text] of shown) this.#stdout.write(`${field.padEnd(width)}  ${printable(text)}\n`);
  }

  /** Prints records as a table; the header of a column is the last name of its path. */
  table(values: readonly unknown[], fields: readonly string[]): void {
    const head = fields.map((field) => field.split('.').at(-1) ?? '');
    const rows = values.map((value) => fields.map((field) => show(at(value, ...field.split('.'))) || '-'));
    this.rows([head, ...rows]);
  }

  /** Prints rows with aligned columns. */
  rows(rows: readonly (readonly string[])[]): void {
    const clean = rows.map((row) => row.map(printable));
    const widths = (clean[0] ?? []).map((_, index) =>
      Math.max(...clean.map((row) => row[index]?.length ?? 0)),
    );
    for (const row of clean) this.#row(row.map((cell, index) => cell.padEnd(widths[index] ?? 0)));
  }

  /** Prints a row, cut to the width of the terminal. */
  #row(cells: readonly string[]): void {
    this.#stdout.write(`${cut(printable(cells.join('  ')).trimEnd(), this.#stdout.columns)}\n`);
  }
}

/** A value as one line of text. */
function show(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Replaces control characters of terminals: titles and notes come from untrusted clients. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be found.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '�');
}

function cut(text: string, columns: number | undefined): string {
  return columns !== undefined && columns > 1 ? elided(text, columns) : text;
}
