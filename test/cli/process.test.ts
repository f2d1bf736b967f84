// The command as a process: its exit code in a shell, a closed pipe, and npx.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { startApiOfFile } from '../support/api.ts';
import { taskBody } from '../support/workers.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Each test starts Node, on a machine that may be busy, ms. */
const LIMIT = 120_000;

const { api, org } = await startApiOfFile();

async function shell(script: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, BIOLAYER_URL: api.url, BIOLAYER_API_KEY: org.client.credential ?? '' };
  try {
    const done = await promisify(execFile)('bash', ['-c', script], { cwd: ROOT, env });
    return { code: 0, ...done };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe('biolayer', () => {
  it(
    'is found by npx, and prints one JSON document',
    async () => {
      const ran = await shell('npx --no biolayer pools list --json');
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(ran.stdout)).toEqual({ data: [], has_more: false, next_cursor: null });
    },
    LIMIT,
  );

  it(
    'creates the unchanged task of examples/ in the pool of the demo org',
    async () => {
      await org.client.post('/v1/pools', { pool_id: 'demo-pool', name: 'Demo pool' });
      const ran = await shell('bin/biolayer.js tasks create --file examples/task.json --json');
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(ran.stdout)).toMatchObject({
        status: 'queued',
        title: 'Verify endpoint owner activity',
      });
    },
    LIMIT,
  );

  it(
    'compiles itself in a fresh clone, and says what to run when nothing is installed',
    async () => {
      const clone = await mkdtemp(join(tmpdir(), 'biolayer-clone-'));
      try {
        const copied = 'package.json package-lock.json tsconfig.json bin script src bench examples packages';
        await shell(`cp -a ${copied} ${clone}`);
        const list = `cd ${clone} && npx --no biolayer pools list --json`;
        const bare = await shell(list);
        expect(bare).toMatchObject({ code: 1, stdout: '' });
        expect(bare.stderr).toMatch(
          /^biolayer is not installed and built here\. Run this first: \(cd .* && npm ci\)\n$/,
        );
        await symlink(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
        const ran = await shell(list);
        expect(ran.code).toBe(0);
        expect(JSON.parse(ran.stdout)).toMatchObject({ has_more: false });
      } finally {
        await rm(clone, { recursive: true });
      }
    },
    LIMIT,
  );

  it(
    'reads a task from stdin and exits with 1 when it is refused',
    async () => {
      const { code, stdout, stderr } = await shell('echo "{}" | bin/biolayer.js tasks create');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^validation_failed: /);
    },
    LIMIT,
  );

  it(
    'completes nouns, verbs, flags and their values in a shell',
    async () => {
      const complete = (words: string) => shell(`bin/biolayer.js complete -- ${words}`);
      expect((await complete('work')).stdout).toMatch(/^workers\t/);
      expect((await complete('tasks can')).stdout).toMatch(/^cancel\t/);
      expect((await complete('workers create --availability a')).stdout).toMatch(/^available\t\naway\t\n/);
      expect(await shell('bin/biolayer.js completion bash | bash -n')).toMatchObject({ code: 0, stderr: '' });
      for (const name of ['zsh', 'fish'])
        expect((await shell(`bin/biolayer.js completion ${name}`)).stdout).toContain('biolayer complete --');
    },
    LIMIT,
  );

  it(
    'exits with 0 when the reader of its output closes the pipe',
    async () => {
      // More than a pipe can hold, so that it still writes when the reader has closed it.
      const instructions = 'x'.repeat(19_000);
      for (let count = 0; count < 20; count += 1)
        await org.client.post('/v1/tasks', taskBody({ instructions }));
      const ran = await shell('bin/biolayer.js tasks list --json | head -c 10; echo " $PIPESTATUS"');
      expect(ran).toEqual({ code: 0, stdout: '{\n  "data" 0\n', stderr: '' });
    },
    LIMIT,
  );
});
