// Flags that several commands take, and how their values are read.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Query } from './client.ts';
import type { Output } from './output.ts';
import { textAt } from './value.ts';

export interface PageFlags {
  limit?: string;
  cursor?: string;
  order?: string;
}

/** Adds the flags of a list. */
export function addPageFlags(command: Command): Command {
  return command
    .option('--limit <n>', 'how many, 1 to 200 (API default: 50)')
    .option('--cursor <cursor>', 'go on where another page ended')
    .addOption(new Option('--order <order>', 'by creation').choices(['asc', 'desc']));
}

/** The query of a list. */
export function pageQuery({ limit, cursor, order }: PageFlags): Query {
  return { limit, cursor, order };
}

/** Prints a page. */
export function showPage(
  out: Output,
  page: unknown,
  data: readonly unknown[],
  fields: readonly string[],
): void {
  out.answer(page, () => {
    if (data.length === 0) out.note('There are none.');
    else out.table(data, fields);
    const next = textAt(page, 'next_cursor');
    if (next !== '') out.note(`There are more: --cursor ${next}`);
  });
}

/** Reads a number. @throws InvalidArgumentError */
export function asNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

/** Collects the values of a flag that may repeat or hold a comma-separated list. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, ...text.split(',').flatMap((one) => one.trim() || [])];
}

/** The fields that were given. */
export function givenOnly(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
