// docs/logs.md lists every message that the processes log, with its levels, and no other.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Node, parseSync, Visitor } from 'oxc-parser';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const LEVELS = ['debug', 'info', 'warn', 'error'];

/** Messages that are made from a variable, by their file: all that they can be. */
const COMPUTED: Record<string, string[]> = {
  'runtime/preflight.ts': [
    'info waiting for Redis, which is not ready',
    'info waiting for Redis, which does not answer',
  ],
  'processors/periodic-task.ts': [
    'warn sweep interrupted',
    'warn retention interrupted',
    'warn stats interrupted',
    'warn archive interrupted',
  ],
  // The output of libraries.
  'runtime/log.ts': [],
};

interface Logged {
  path: string;
  levels: string[];
  /** Null when they are not written out. */
  messages: string[] | null;
}

/** The values that an expression of literals can have; null for any other. */
function literals(node: Node | undefined): string[] | null {
  if (node?.type === 'Literal' && typeof node.value === 'string') return [node.value];
  if (node?.type === 'TemplateLiteral' && node.expressions.length === 0)
    return [node.quasis[0]?.value.cooked ?? ''];
  if (node?.type !== 'ConditionalExpression') return null;
  const [one, other] = [literals(node.consequent), literals(node.alternate)];
  return one === null || other === null ? null : [...one, ...other];
}

/** The calls of a logger in a file. */
function loggedIn(path: string): Logged[] {
  const source = readFileSync(join(ROOT, 'src', path), 'utf8');
  const found: Logged[] = [];
  new Visitor({
    CallExpression({ callee, arguments: [fields, message] }) {
      if (callee.type !== 'MemberExpression' || fields === undefined || message === undefined) return;
      if (!/(\blog|#log|always)$/.test(source.slice(callee.object.start, callee.object.end))) return;
      const { property } = callee;
      const levels = callee.computed
        ? literals(property as Node)
        : [source.slice(property.start, property.end)];
      if (levels?.every((level) => LEVELS.includes(level)) !== false)
        found.push({ path, levels: levels ?? [], messages: literals(message as Node) });
    },
  }).visit(parseSync(path, source).program);
  return found;
}

const calls = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith('cli/'))
  .flatMap(loggedIn);

describe('docs/logs.md', () => {
  it('lists every message with its levels, and no other', () => {
    const logged = calls.flatMap(({ path, levels, messages }) =>
      messages === null
        ? (COMPUTED[path] ?? [`a message of ${path} that is not written out`])
        : messages.flatMap((message) => levels.map((level) => `${level} ${message}`)),
    );
    const rows = readFileSync(join(ROOT, 'docs/logs.md'), 'utf8').matchAll(
      /^\| `([^`]+)` +\| ([a-z, ]+?) +\|/gm,
    );
    const documented = [...rows].flatMap(([, message = '', levels = '']) =>
      levels.split(', ').map((level) => `${level} ${message}`),
    );
    expect(logged.length).toBeGreaterThan(50);
    expect(documented.toSorted()).toEqual([...new Set(logged)].toSorted());
  });
});
