// Flags that several commands share, and the parsers of their values.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Output } from './output.ts';
import { listAt, textAt } from './value.ts';

/** Flags of a list. */
export interface PageFlags {
  limit?: number;
  cursor?: string;
  order?: 'asc' | 'desc';
}

/** Adds the flags of a list. */
export function addPageFlags(command: Command): Command {
  return command
    .option('--limit <n>', 'page size, 1 to 200 (API default: 50)', asNumber)
    .option('--cursor <cursor>', 'continue after another page')
    .addOption(new Option('--order <order>', 'by creation').choices(['asc', 'desc']));
}

/** The query parameters of a list. */
export function pageQuery({ limit, cursor, order }: PageFlags): PageFlags {
  return givenOnly({ limit, cursor, order });
}

/** Prints a page as a table with these fields, or its JSON. @param data the rows of the table, if not those of the page */
export function showPage(
  out: Output,
  page: unknown,
  fields: readonly string[],
  data: readonly unknown[] = listAt(page, 'data'),
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

type Given<Fields> = {
  [Name in keyof Fields as undefined extends Fields[Name] ? never : Name]: Fields[Name];
} & {
  [Name in keyof Fields as undefined extends Fields[Name] ? Name : never]?: Exclude<Fields[Name], undefined>;
};

/** The fields that are not undefined. */
export function givenOnly<Fields extends object>(fields: Fields): Given<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Given<Fields>;
}
