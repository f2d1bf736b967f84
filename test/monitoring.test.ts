// The dashboard and the alert rules: every metric and label that they name exists, and every alert says what to do.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { ProcessorMetrics } from '../src/processors/metrics.ts';
import { startApi } from './support/api.ts';
import { openTestDb } from './support/db.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ALERTS = join(ROOT, 'deploy/prometheus/alerts.yml');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; runbook: string };
}
const { groups } = parse(readFileSync(ALERTS, 'utf8')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

interface Panel {
  title: string;
  targets?: { expr: string; legendFormat: string }[];
}
const { panels } = JSON.parse(read('deploy/grafana/biolayer.json')) as { panels: Panel[] };
const targets = panels.flatMap((panel) => panel.targets ?? []);

/** The labels that Prometheus adds to what it scrapes. */
const SCRAPED = ['job', 'instance'];
/** Series → its labels. */
const known = new Map<string, readonly string[]>([['up', SCRAPED]]);

const db = await openTestDb();
beforeAll(async () => {
  const registered = vi.spyOn(Registry.prototype, 'registerMetric');
  const api = await startApi();
  new ProcessorMetrics(db, '1.0.0').show({
    relayed: () => 0,
    repaired: () => 0,
    purged: () => ({ tasks: 0, logs: 0 }),
    coolingDown: () => 0,
  });
  await api.close();
  for (const [metric] of registered.mock.calls) {
    const { name, labelNames = [] } = metric as unknown as { name: string; labelNames?: string[] };
    const labels = [...SCRAPED, ...labelNames];
    const isHistogram = metric.constructor.name === 'Histogram';
    const series = isHistogram ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
    for (const one of series) known.set(one, isHistogram ? [...labels, 'le'] : labels);
  }
  registered.mockRestore();
});

const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'by', 'without', 'on', 'ignoring']);
const GROUPING = /\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g;

/** What an expression names: series, and labels in matchers and groupings. */
function namesIn(expr: string): { series: string[]; labels: string[] } {
  const plain = expr.replaceAll(/"[^"]*"|'[^']*'/g, '""').replaceAll(/\[[^\]]*\]/g, '');
  const labels = [
    ...[...plain.matchAll(GROUPING)].flatMap(([, list = '']) => list.split(',')),
    ...[...plain.matchAll(/\{([^}]*)\}/g)].flatMap(([, list = '']) =>
      [...list.matchAll(/(\w+)\s*(?:=|!=|=~|!~)\s*""/g)].map(([, label = '']) => label),
    ),
  ].map((label) => label.trim());
  const rest = plain.replaceAll(GROUPING, '').replaceAll(/\{[^}]*\}/g, '');
  const words = [...rest.matchAll(/\b[a-zA-Z_]\w*\b(?!\s*\()/g)].map(([word]) => word);
  return { series: words.filter((word) => !KEYWORDS.has(word)), labels };
}

/** Series that do not exist, and labels that no series of the expression has. */
function unknownIn(expr: string): string[] {
  const { series, labels } = namesIn(expr);
  const available = series.flatMap((name) => known.get(name) ?? []);
  return [
    ...(series.length === 0 ? ['no series'] : series.filter((name) => !known.has(name))),
    ...labels.filter((label) => !available.includes(label)).map((label) => `label ${label}`),
  ];
}

test('names of series and labels are found in expressions', () => {
  const expr = 'topk(3, sum by (le, a) (rate(x_total{b="c", d!~"e|f"}[5m]))) / on (g) (y > 0.5) and z == 1';
  expect(namesIn(expr)).toEqual({ series: ['x_total', 'y', 'z'], labels: ['le', 'a', 'g', 'b', 'd'] });
});

describe('the dashboard', () => {
  test('names only series and labels that exist', () => {
    expect(targets.length).toBeGreaterThan(30);
    const wrong = targets.flatMap(({ expr }) => unknownIn(expr).map((name) => `${name} in ${expr}`));
    expect(wrong).toEqual([]);
  });

  test('shows in its legends only labels that its queries keep', () => {
    const wrong = targets.flatMap(({ expr, legendFormat }) => {
      const kept = [...SCRAPED, ...namesIn(expr).labels];
      return [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].filter(([, label = '']) => !kept.includes(label));
    });
    expect(wrong).toEqual([]);
  });

  test('shows every metric of ours', () => {
    const shown = new Set(targets.flatMap(({ expr }) => namesIn(expr).series));
    const base = (name: string) => name.replace(/_(bucket|sum|count)$/, '');
    const all = new Set([...known.keys()].filter((name) => name.startsWith('biolayer_')).map(base));
    expect([...all].filter((name) => ![...shown].some((one) => base(one) === name))).toEqual([]);
  });
});

describe('the alert rules', () => {
  test.each(rules)('$alert names what exists and says what to do', ({ alert, expr, labels, annotations }) => {
    expect(unknownIn(expr)).toEqual([]);
    expect(['page', 'ticket']).toContain(labels.severity);
    expect(annotations.summary).not.toBe('');
    const [, anchor = ''] = /\(docs\/operations\.md#([a-z-]+)\)\.$/.exec(annotations.runbook) ?? [];
    const operations = read('docs/operations.md');
    const anchors = [...operations.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    expect(anchors).toContain(anchor);
    expect(operations).toContain(`| \`${alert}\``);
  });

  test('are those of the documentation', () => {
    const documented = [...read('docs/operations.md').matchAll(/^\| `(BioLayer\w+)`/gm)].map(
      ([, name]) => name,
    );
    expect(documented.sort()).toEqual(rules.map(({ alert }) => alert).sort());
  });

  const promtool = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'promtool'))
    .find((path) => existsSync(path));
  test.skipIf(promtool === undefined)('pass promtool', async () => {
    const run = promisify(execFile);
    await run(promtool ?? '', ['check', 'rules', ALERTS]);
    await run(promtool ?? '', [
      'check',
      'config',
      '--syntax-only',
      join(ROOT, 'deploy/prometheus/prometheus.yml'),
    ]);
  });
});
