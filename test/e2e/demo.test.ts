// The demo as a process: its exit code, its output, and that it leaves nothing behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, type TestContext, vi } from 'vitest';
import { isOneServer, testRedisUrl } from '../support/redis.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LIMIT = 150_000;

interface Run {
  process: ChildProcess;
  stdout: string;
  stderr: string;
}

type OnTestFinished = TestContext['onTestFinished'];

function start(onTestFinished: OnTestFinished, ...args: string[]): Run {
  // script/demo would also install packages.
  const child = spawn(process.execPath, ['dist/script/demo.js', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const run: Run = { process: child, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    run.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    run.stderr += text;
  });
  return run;
}

async function finish(
  onTestFinished: OnTestFinished,
  ...args: string[]
): Promise<Run & { code: number | null }> {
  const run = start(onTestFinished, ...args);
  const [code] = await once(run.process, 'close');
  return { ...run, code };
}

/** Expects that the folder of the demo and all its processes are gone. */
async function expectNothingLeft({ stdout }: Run): Promise<void> {
  const [, dir = ''] = /^Redis {5}embedded, in (\.data\/demo-\S+)$/m.exec(stdout) ?? [];
  expect(dir).not.toBe('');
  expect(existsSync(join(ROOT, dir))).toBe(false);
  if (!existsSync('/proc')) return;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  expect(commands.filter((command) => command.includes(dir))).toEqual([]);
}

/** The events of each timeline, as `sequence type outcome`. */
function timelines(stdout: string): string[][] {
  return stdout
    .split(/^\d\. /m)
    .slice(1)
    .map((part) =>
      [...part.matchAll(/^ +(\d+) +[\d.]+ s {2}(task\.\w+) .* (verified) \+\d+ ms$/gm)].map(
        ([, sequence, type, outcome]) => `${sequence} ${type} ${outcome}`,
      ),
    );
}

/** Expects every event of both tasks with its verified webhook. */
function expectComplete({ code, stdout, stderr }: Run & { code: number | null }): void {
  // On a busy machine it may print warnings.
  expect(code, stderr).toBe(0);
  const verified = (types: string[]) => types.map((type, index) => `${index + 1} task.${type} verified`);
  expect(timelines(stdout)).toEqual([
    verified([
      'created',
      'queued',
      'matched',
      'offered',
      'accepted',
      'started',
      'submitted',
      'verified',
      'completed',
    ]),
    verified(['created', 'queued', 'matched', 'offered', 'sla_breached', 'cancelled']),
  ]);
  expect(stdout).toContain('15 events, 15 webhooks verified, both histories verified.');
  expect(stdout).toContain('Evidence: call-note.txt, downloaded unchanged.');
}

// For the Redis of the suite, of which the demo needs nothing, it is enough to run it on a Redis of its own.
it.skipIf(isOneServer())(
  'script/demo --redis shows the same on a cluster and behind sentinels',
  async ({ onTestFinished }) => {
    expectComplete(await finish(onTestFinished, '--redis', testRedisUrl()));
  },
  LIMIT,
);

// Each on its own Redis and ports, and idle for much of its time.
describe.skipIf(!isOneServer()).concurrent('script/demo', () => {
  it(
    'prints every event of both tasks with its verified webhook, in 80 columns, and leaves nothing behind',
    async ({ onTestFinished }) => {
      const run = await finish(onTestFinished);
      expectComplete(run);
      expect(run.stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
      await expectNothingLeft(run);
    },
    LIMIT,
  );

  it(
    'fails and lists the events without a verified webhook when signatures are wrong',
    async ({ onTestFinished }) => {
      const run = await finish(onTestFinished, '--wrong-secret');
      expect(run.code).toBe(1);
      expect(run.stderr).toMatch(
        /The demo failed\. The receiver refused a webhook: The webhook is not authentic: No matching signature found/,
      );
      expect(run.stderr).toMatch(
        /No verified webhook for 1 task\.created, 2 task\.queued, .*9 task\.completed/,
      );
      expect(timelines(run.stdout).flat()).toEqual([]);
      await expectNothingLeft(run);
    },
    LIMIT,
  );

  it(
    'stops everything on SIGTERM',
    async ({ onTestFinished }) => {
      const run = start(onTestFinished);
      await vi.waitFor(() => expect(run.stdout).toContain('1. A task is created'), { timeout: LIMIT / 2 });
      run.process.kill('SIGTERM');
      const [code] = await once(run.process, 'close');
      expect(code).toBe(143);
      expect(run.stderr).not.toContain('The demo failed');
      await expectNothingLeft(run);
    },
    LIMIT,
  );

  it(
    'prints its usage',
    async ({ onTestFinished }) => {
      expect(await finish(onTestFinished, '--nonsense')).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(/^Usage: script\/demo/),
      });
    },
    LIMIT,
  );
});
