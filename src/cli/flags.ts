// Flags that several commands share, and the parsers of their values.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Query } from './client.ts';
import type { Output } from './output.ts';
import { textAt } from './value.ts';

/** Flags of a list. */
export interface PageFlags {
  limit?: string;
  cursor?: string;
  order?: string;
}

/** Adds the flags of a list. */
export function addPageFlags(command: Command): Command {
  return command
    .option('--limit <n>', 'page size, 1 to 200 (API default: 50)')
    .option('--cursor <cursor>', 'continue after another page')
    .addOption(new Option('--order <order>', 'by creation').choices(['asc', 'desc']));
}

/** The query parameters of a list. */
export function pageQuery({ limit, cursor, order }: PageFlags): Query {
  return { limit, cursor, order };
}

/** Prints a page as a table with these fields, or its JSON. */
export function showPage(
  out: Output,
  page: unknown,
  data: readonly unknown[],
  fields: readonly string[],
): void {
  out.answer(page, () => {
    if (data.length === 0) out.note('No entries.');
    else out.table(data, fields);
    const next = textAt(page, 'next_cursor');
    if (next !== '') out.note(`More entries: --cursor ${next}`);
  });
}

/** Parses a number. @throws InvalidArgumentError */
export function asNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

/** Collects the values of a flag that is repeatable and accepts a comma-separated list. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, ...text.split(',').flatMap((one) => one.trim() || [])];
}

/** The fields that are not undefined. */
export function givenOnly(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
