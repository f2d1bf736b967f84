// Runs the walk-throughs of a document: its `http` blocks, each a sequence of requests with the expected responses.
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Client } from './api.ts';

/** Values by name: those that the test gives, and those captured from responses. */
export type Names = Record<string, string>;

interface Step {
  who: string;
  method: string;
  path: string;
  body: string | null;
  status: number;
  /** A part of the response, as JSON. */
  part: string | null;
}

/** The steps in the `http` blocks of a section (a heading of level 2) of `docs/<file>`. @throws Error when it has none */
export function walkThrough(file: string, section: string): Step[] {
  const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8');
  const [, content = ''] = text.split(`\n## ${section}\n`);
  const [own = ''] = content.split('\n## ');
  const blocks = [...own.matchAll(/^```http\n(.*?)^```$/gms)].map(([, block]) => block ?? '');
  const steps = blocks.flatMap((block) => block.trim().split(/\n\n+/)).map(readStep);
  if (steps.length === 0) throw new Error(`docs/${file} has no walk-through in ${section}`);
  return steps;
}

function readStep(text: string): Step {
  const form =
    /^(?<who>\w+) (?<method>[A-Z]+) (?<path>\S+)\n(?:(?<body>\{.*?)\n)?(?<status>\d{3})(?: (?<part>.*))?$/s;
  const { who, method, path, body, status, part } = form.exec(text)?.groups ?? {};
  if (who === undefined || method === undefined || path === undefined)
    throw new Error(`not a step of a walk-through:\n${text}`);
  return { who, method, path, body: body ?? null, status: Number(status), part: part ?? null };
}

/** Runs the steps one after the other. @param clients by caller. @param names filled with the values captured. */
export async function walk(
  steps: readonly Step[],
  clients: Record<string, Client>,
  names: Names,
): Promise<void> {
  for (const step of steps) {
    const client = clients[step.who];
    if (client === undefined) throw new Error(`the walk-through has an unknown caller: ${step.who}`);
    const fill = (text: string) => text.replaceAll(/\{(\w+)\}/g, (all, name: string) => names[name] ?? all);
    const answer = await client.request(step.method, fill(step.path), {
      ...(step.body !== null && { body: JSON.parse(fill(step.body)) as unknown }),
    });
    expect([step.method, step.path, answer.status, answer.text]).toEqual([
      step.method,
      step.path,
      step.status,
      expect.any(String),
    ]);
    if (step.part === null) continue;
    const part: unknown = JSON.parse(fill(step.part));
    const found: unknown = JSON.parse(answer.text);
    capture(part, found, names);
    expect(found).toMatchObject(JSON.parse(fill(step.part)) as object);
  }
}

/** Gives each name in braces that has no value yet the value at the same place of the response. */
function capture(part: unknown, found: unknown, names: Names): void {
  const [, name] = /^\{(\w+)\}$/.exec(typeof part === 'string' ? part : '') ?? [];
  if (name !== undefined && typeof found === 'string') names[name] ??= found;
  if (typeof part !== 'object' || part === null || typeof found !== 'object' || found === null) return;
  for (const [key, inner] of Object.entries(part))
    capture(inner, Object.entries(found).find(([one]) => one === key)?.[1], names);
}
