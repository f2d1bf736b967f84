// Compares the documents with the code: tables, links, paths and commands. A table that differs from the code fails
// here with the line that is missing or wrong.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { scopesOf } from '../src/api/access/principal.ts';
import { ERROR_GUIDE } from '../src/api/docs/error-guide.ts';
import { PROBLEMS } from '../src/api/http/problem.ts';
import type { Route } from '../src/api/route.ts';
import { ROUTES } from '../src/api/routes/index.ts';
import { loadCliConfig, loadConfig } from '../src/config.ts';
import { MAX_COOL_DOWN_MS } from '../src/state/tasks/cool-down.ts';
import {
  AT_DEADLINE,
  EVENT_TYPES,
  IN_PLACE,
  RETURN_TO_QUEUE,
  TRANSITIONS,
} from '../src/state/tasks/lifecycle.ts';
import { DEFAULT_MAX_ATTEMPTS, startTime, URGENCIES } from '../src/state/tasks/task.ts';
import { offerTtlMs } from '../src/state/workers/matching.ts';
import { orgKeysOf } from '../src/store/redis/keys.ts';
import { runCommand } from './support/cli.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => /\.(md|json)$/.test(name))
    .map((name) => `docs/${name}`),
];

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The rows of the table whose head begins with these cells, each as its cells, without the marks of code. */
function table(path: string, ...head: string[]): string[][] {
  const [first] = tables(path, ...head);
  if (first === undefined) throw new Error(`${path} has no table with the head ${head.join(', ')}`);
  return first;
}

/** The rows of all tables whose head begins with these cells, as of `table`. */
function tables(path: string, ...head: string[]): string[][][] {
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', ''));
  const lines = read(path).split('\n');
  return lines.flatMap((line, start) => {
    if (!line.startsWith('|') || !head.every((name, index) => cells(line)[index] === name)) return [];
    const rest = lines.slice(start + 2);
    const end = rest.findIndex((one) => !one.startsWith('|'));
    return [rest.slice(0, end < 0 ? undefined : end).map(cells)];
  });
}

/** The content of the fenced blocks of a language. */
function blocks(path: string, language: string): string[] {
  const found = read(path).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'));
  return [...found].map(([, content]) => content ?? '');
}

describe('docs/lifecycle.md', () => {
  it('draws one line for each pair of states, with every command that leads from one to the other', () => {
    const commands = new Map<string, Set<string>>();
    const add = (from: string, to: string, command: string) => {
      const pair = `${from} --> ${to}`;
      commands.set(pair, new Set([...(commands.get(pair) ?? []), command]));
    };
    for (const { command, from, to } of TRANSITIONS)
      for (const one of from) {
        add(one, to, command);
        // Rework too ends a task whose attempts are used up.
        if (RETURN_TO_QUEUE.includes(command) || command === 'rework') add(one, 'failed', command);
        // In place of a failure with `deadline_exceeded`.
        if (AT_DEADLINE.includes(command)) add(one, 'completed', command);
      }
    const [diagram = ''] = blocks('docs/lifecycle.md', 'mermaid');
    const lines = [...diagram.matchAll(/^ {2}(\w+) --> (\w+) : (.+)$/gm)].map(
      ([, from, to, labels = '']) => `${from} --> ${to} : ${labels.split(', ').sort().join(', ')}`,
    );
    const expected = [...commands].map(([pair, names]) => `${pair} : ${[...names].sort().join(', ')}`);
    expect(lines.sort()).toEqual(expected.sort());
  });

  it('lists every transition in the table', () => {
    expect(table('docs/lifecycle.md', 'command', 'from', 'to', 'when')).toEqual(
      TRANSITIONS.map(({ command, from, to, when }) => [command, from.join(' '), to, when]),
    );
  });

  it('lists every command that leaves the state as it is', () => {
    expect(table('docs/lifecycle.md', 'command', 'in', 'when')).toEqual(
      IN_PLACE.map(({ command, from, when }) => [command, from.join(' '), when]),
    );
  });

  it('gives the defaults of each urgency', () => {
    const rows = URGENCIES.toReversed().map((urgency) => [
      urgency,
      `${offerTtlMs(urgency, null) / 1000} s`,
      `${startTime(urgency) / 1000} s`,
    ]);
    expect(table('docs/lifecycle.md', 'urgency', 'offer life', 'time to start')).toEqual(rows);
    expect(read('docs/lifecycle.md')).toContain(`A task has ${DEFAULT_MAX_ATTEMPTS} attempts`);
    expect(read('docs/lifecycle.md')).toContain(`at most ${MAX_COOL_DOWN_MS / 1000} s`);
  });
});

describe('docs/webhooks.md', () => {
  it('lists every event type once', () => {
    const types = table('docs/webhooks.md', 'type', 'beside the common fields').map(([type]) => type);
    expect(types).toEqual(EVENT_TYPES);
  });
});

describe('docs/errors.md', () => {
  it('has a row for every code, with cause and remedy', () => {
    const plain = (text: string) => text.replaceAll('`', '');
    const rows = Object.entries(ERROR_GUIDE).map(([code, { cause, remedy }]) => [
      code,
      String(Object.entries(PROBLEMS).find(([name]) => name === code)?.[1][0]),
      plain(cause),
      plain(remedy),
    ]);
    expect(table('docs/errors.md', 'code', 'status')).toEqual(rows);
    expect(rows.map(([code]) => code)).toEqual(Object.keys(PROBLEMS));
  });
});

describe('docs/security.md', () => {
  it('lists every route with who may call it', () => {
    const caller = ({ access }: Route) => {
      switch (access.kind) {
        case 'scope':
          if (scopesOf(access).length > 1) return 'scope of the action';
          return access.liveOnly ? `${access.scope}, live key` : access.scope;
        case 'open':
          return 'no credential';
        case 'sign_in':
          return 'a page of this server';
        case 'session':
          return 'session cookie';
        default:
          return `${access.kind} token`;
      }
    };
    const rows = ROUTES.map((route) => [`${route.method} ${route.path}`, caller(route)]);
    expect(table('docs/security.md', 'route', 'for').sort()).toEqual(rows.sort());
  });
});

describe('docs/operations.md', () => {
  /** The names that `load` looks up. */
  function variablesOf(load: (env: Record<string, string | undefined>) => unknown): string[] {
    const names = new Set<string>();
    const env = new Proxy<Record<string, string | undefined>>(
      {},
      { get: (_, name) => void names.add(String(name)) },
    );
    load(env);
    return [...names].sort();
  }
  const rows = () => table('docs/operations.md', 'variable', 'default');

  it('lists exactly the variables that are read', () => {
    expect(
      rows()
        .map(([name]) => name)
        .sort(),
    ).toEqual(variablesOf((env) => loadConfig(env, 'server')));
  });

  it('gives the defaults', () => {
    const config = loadConfig({}, 'server');
    const given = {
      HOST: config.host,
      PORT: String(config.port),
      EVIDENCE_STORE: config.evidenceStore,
      DATA_DIR: config.dataDir,
      LOG_LEVEL: config.logLevel,
      MAX_CONNECTIONS: String(config.connections.all),
      MAX_CONNECTIONS_PER_ADDRESS: String(config.connections.address),
      MAX_BODY_BYTES: String(config.inFlight.bodies.process),
      MAX_BODY_BYTES_PER_CREDENTIAL: String(config.inFlight.bodies.credential),
      MAX_UPLOAD_BYTES: String(config.inFlight.uploads.process),
      MAX_UPLOAD_BYTES_PER_CREDENTIAL: String(config.inFlight.uploads.credential),
      MAX_STREAMS: String(config.inFlight.streams.process),
      MAX_STREAMS_PER_CREDENTIAL: String(config.inFlight.streams.credential),
      METRICS_HOST: config.metrics.host,
      WORKER_CONCURRENCY: String(config.workerConcurrency),
      QUEUE_SHARDS: String(config.queueShards),
      DURABILITY: config.durabilityReplicas === 0 ? 'local' : 'replicated',
      ARCHIVE_AFTER_DAYS: String(config.archiveAfterDays),
      MEMORY_HIGH_WATER: String(config.memoryHighWater),
      METRICS_TOP_ORGS: String(config.metricsTopOrgs),
      BOARD_ACTIONS: config.boardActions ? 'on' : 'off',
      WEBHOOK_DISABLE_AFTER_HOURS: String(config.webhookDisableAfterHours),
      ...Object.fromEntries(
        Object.entries(config.storageQuotas).map(([name, limit]) => [
          `QUOTA_${name.toUpperCase()}`,
          String(limit),
        ]),
      ),
      ...Object.fromEntries(
        Object.entries(config.quotas).map(([name, quota]) => [
          `RATE_LIMIT_${name.toUpperCase()}`,
          `${quota?.requests}/${quota?.seconds}`,
        ]),
      ),
    };
    expect(Object.fromEntries(rows().flatMap(([name, value]) => (value ? [[name, value]] : [])))).toEqual(
      given,
    );
    expect(read('docs/operations.md')).toContain(
      `\`BIOLAYER_URL\` (default \`${loadCliConfig({}, {}).url}\`)`,
    );
  });

  it('has every variable that README.md names', () => {
    const named = table('README.md', 'variable').flatMap(([names = '']) => names.split(', '));
    expect(rows().map(([name]) => name)).toEqual(expect.arrayContaining(named));
  });
});

describe('docs/architecture.md', () => {
  it('lists every key', () => {
    const keys = Object.entries(orgKeysOf('bl', '<org>'))
      .filter(([name]) => name !== 'partition')
      .map(([, key]) => (typeof key === 'string' ? key : key('…')).replace(/\{[pq][0-9a-z]{2}\}/, '{pNN}'));
    const listed = table('docs/architecture.md', 'key', 'type', 'holds').map(([key]) => key);
    expect(listed.toSorted()).toEqual(keys.sort());
  });

  it('draws a tree of existing files that includes the top of src and every folder of a layer', () => {
    const [tree = ''] = blocks('docs/architecture.md', '').filter((one) => one.includes('\nsrc/\n'));
    const drawn: string[] = [];
    let folders: string[] = [];
    for (const line of tree.split('\n')) {
      const words = line.trim().split(/ +/);
      // A line begins with names; what follows is about them.
      const about = words.findIndex((word) => !/^[\w./-]+(\.\w+|\/)$/.test(word));
      const names = words.slice(0, about < 0 ? undefined : about);
      folders = folders.slice(0, line.search(/\S/) / 2);
      drawn.push(...names.map((name) => join(...folders, name)));
      if (names.length === 1) folders.push(...names);
    }
    expect(drawn.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const top = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).map((entry) =>
      join('src', entry.isDirectory() ? `${entry.name}/` : entry.name),
    );
    expect(drawn).toEqual(expect.arrayContaining(top));
    const rooms = ['state', 'store', 'processors', 'api'].flatMap((layer) =>
      readdirSync(join(ROOT, 'src', layer), { withFileTypes: true }).flatMap((entry) =>
        entry.isDirectory() ? [join('src', layer, `${entry.name}/`)] : [],
      ),
    );
    expect(drawn).toEqual(expect.arrayContaining(rooms));
  });

  it('names for every rule a file, and a name that the file defines', () => {
    const rows = tables('docs/architecture.md', 'rule', 'file', 'see').flat();
    expect(rows.length).toBeGreaterThan(200);
    const isDefined = (name: string, text: string) =>
      new RegExp(`^(export )?(async )?(function|const|class) \\*?${name}\\b`, 'm').test(text) ||
      new RegExp(`^ {2}(static )?(async )?\\*?#?${name}[(<]`, 'm').test(text);
    const wrong = rows.filter(([, file = '', see = '']) => {
      const path = join('src', file);
      if (!file.endsWith('.ts') || !existsSync(join(ROOT, path))) return true;
      return see !== '' && !isDefined(see, read(path));
    });
    expect(wrong).toEqual([]);
  });

  it('has no rule twice', () => {
    const rules = tables('docs/architecture.md', 'rule', 'file', 'see').flatMap((rows) =>
      rows.map(([rule]) => rule),
    );
    expect(rules.filter((rule, index) => rules.indexOf(rule) !== index)).toEqual([]);
  });
});

describe('README.md', () => {
  it('shows examples/task.json, adapted to the local demo', () => {
    const [, json = ''] = /<<JSON\n(.*?)\nJSON\n/s.exec(read('README.md')) ?? [];
    const example = JSON.parse(read('examples/task.json'));
    const { org_id: _org, created_at: _at, ...origin } = example.origin;
    expect(JSON.parse(json)).toEqual({
      ...example,
      origin,
      sla: { ...example.sla, deadline: '$deadline' },
      requirements: { ...example.requirements, worker_pool_id: 'demo-pool' },
      handoff: { ...example.handoff, callback_url: 'http://127.0.0.1:4000/webhooks/biolayer' },
    });
  });
});

describe('every document', () => {
  it.each(DOCUMENTS)('%s links to files and headings that exist', (path) => {
    const anchors = (text: string) =>
      [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replace(/[^\w\s-]/g, '')
          .replaceAll(' ', '-'),
      );
    const links = [...read(path).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)];
    const broken = links.filter(([, file = '', anchor]) => {
      const target = file === '' ? join(ROOT, path) : resolve(ROOT, dirname(path), file);
      if (!existsSync(target)) return true;
      return anchor !== undefined && !anchors(readFileSync(target, 'utf8')).includes(anchor);
    });
    expect(broken.map(([link]) => link)).toEqual([]);
  });

  // In docs/architecture.md paths may be relative to src.
  it.each(DOCUMENTS)('%s names files and folders that exist', (path) => {
    const roots = [ROOT, ...(path === 'docs/architecture.md' ? [join(ROOT, 'src')] : [])];
    const inside = roots.flatMap((root) =>
      readdirSync(root, { withFileTypes: true }).flatMap((entry) =>
        entry.isDirectory() ? [entry.name] : [],
      ),
    );
    const text = read(path).replaceAll(/\]\(.*?\)/g, ']');
    const paths = [...text.matchAll(/(?<![\w./-])([\w-]+)\/[\w./-]*[\w/]/g)].flatMap(([name, folder = '']) =>
      inside.includes(folder) ? [name] : [],
    );
    const exists = (name: string) => roots.some((root) => existsSync(join(root, name)));
    expect(paths.filter((name) => !exists(name))).toEqual([]);
  });

  it.each(DOCUMENTS)('%s names commands and scripts that exist', async (path) => {
    const text = read(path);
    const scripts = [...text.matchAll(/\bscript\/[a-z-]+/g)].map(([name]) => name);
    expect(scripts.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
    const npm = Object.keys(JSON.parse(read('package.json')).scripts);
    const runs = [...text.matchAll(/\bnpm run ([a-z:]+)/g)].map(([, name]) => name);
    expect(runs.filter((name) => !npm.includes(name ?? ''))).toEqual([]);

    const commands = [...text.matchAll(/npx biolayer (\w[\w-]*) (\w[\w-]*)((?: --[a-z-]+)*)/g)];
    for (const [, noun = '', verb = '', flags = ''] of commands) {
      const { code, stdout: help } = await runCommand([noun, verb, '--help'], {});
      expect(code).toBe(0);
      expect(help).toContain(`Usage: biolayer ${noun} ${verb} `);
      for (const flag of flags.split(' ').filter((one) => one !== '')) expect(help).toContain(` ${flag} `);
    }
  });
});
