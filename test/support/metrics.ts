// The metrics that the documentation of operations names, to compare with those that a process has.
import { readFile } from 'node:fs/promises';

/** Names in the list item that begins with `opening`. @throws Error when there are none */
export async function documentedMetrics(opening: string): Promise<string[]> {
  const docs = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const item = docs.split(/\n(?=- |\n)/).find((one) => one.trimStart().startsWith(`- ${opening}`)) ?? '';
  const names = [...item.matchAll(/`(biolayer_\w+)`/g)].map(([, name = '']) => name);
  if (names.length === 0) throw new Error(`no metric is named in "${opening}"`);
  return names;
}

/** Whether a scrape has this metric. */
export function hasMetric(scrape: string, name: string): boolean {
  return scrape.includes(`# TYPE ${name} `);
}
