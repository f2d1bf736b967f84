// `biolayer simulate`: all tasks of a simulation end, and its report agrees with what the sandbox holds.
import { describe, expect, it } from 'vitest';
import type { SimulationReport } from '../../src/simulation/reading.ts';
import { type Page, startApiOfFile } from '../support/api.ts';
import { runCommand } from '../support/cli.ts';

const { api, org } = await startApiOfFile({ processors: true, webhookAllowedNetworks: ['127.0.0.0/8'] });

async function testKey(): Promise<string> {
  const made = await org.client.post<{ key: string }>('/v1/api-keys', {
    name: 'Simulation',
    scopes: ['*'],
    mode: 'test',
  });
  return made.key;
}

const simulate = (key: string, ...flags: string[]) =>
  runCommand(['simulate', ...flags], { env: { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: key } });

describe('biolayer simulate', () => {
  it('runs a sandbox with a seed, reports what happened, and removes its workers', {
    timeout: 120_000,
  }, async () => {
    const key = await testKey();
    const staff = 'fast=3,slow=1,declining=1,wrong-answer=1';
    const flags = ['--json', '--workers', staff, '--tasks', '12', '--duration', '60s', '--seed', '7'];
    const { code, stdout, stderr } = await simulate(key, ...flags);
    const report = JSON.parse(stdout) as SimulationReport;
    expect(report.invariants_broken).toEqual([]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^seed 7\n\d+s: \d+ created, \d+ final, \d+ requests repeated\n/);
    expect(report).toMatchObject({ seed: '7', tasks: { created: 12, unfinished: 0 } });
    const { completed, failed, cancelled } = report.tasks;
    expect(completed + failed + cancelled).toBe(12);
    expect(report.offers.accepted).toBeGreaterThanOrEqual(completed);
    expect(report.requests.latency_ms['create task']).toMatchObject({ count: 12 });
    expect(report.webhooks?.events).toBeGreaterThan(12 * 3);
    const sandbox = api.client(key);
    expect((await sandbox.get<Page<object>>('/v1/workers')).data).toEqual([]);
    expect((await sandbox.get<Page<object>>('/v1/tasks?limit=200')).data).toHaveLength(12);
    expect((await org.client.get<Page<object>>('/v1/tasks')).data).toEqual([]);
  });

  it('refuses a live key and unknown personas', async () => {
    expect(await simulate(org.client.credential ?? '')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('needs a test key'),
    });
    expect(await simulate(await testKey(), '--workers', 'lazy=1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('fast=4,slow=1'),
    });
  });
});
