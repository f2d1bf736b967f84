// Runs the commands of the quick start of README.md in a shell, with only ports and credentials replaced.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished, vi } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LIMIT = 240_000;
const PATIENT = { timeout: 60_000, interval: 100 };

interface Running {
  process: ChildProcess;
  output: string;
}

/** Starts a process in its own group, which is ended at the end of the test. */
function start(command: string, args: string[], env: Record<string, string>): Running {
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, detached: true });
  const running: Running = { process: child, output: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      running.output += text;
    });
  onTestFinished(async () => {
    if (child.pid === undefined) return;
    const closed = once(child, 'close');
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      return; // The whole group has ended.
    }
    await closed;
  });
  return running;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  return address.port;
}

it(
  'the quick start of README.md works as printed',
  async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const blocks = [...readme.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, content]) => content ?? '');
    const [clone = '', serve = '', people = '', create = '', look = ''] = blocks;
    expect(clone).toMatch(/^script\/demo$/m);
    expect(serve).toBe('WEBHOOK_ALLOWED_NETWORKS=127.0.0.0/8 script/server\n');
    const dataDir = await mkdtemp(join(tmpdir(), 'biolayer-quick-start-'));
    onTestFinished(() => rm(dataDir, { recursive: true }));
    const receiverPort = String(await freePort());

    // script/server would also install packages.
    const server = start(process.execPath, ['dist/src/server.js'], {
      WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
      DATA_DIR: dataDir,
      PORT: '0',
      REDIS_URL: '',
    });
    await vi.waitFor(() => expect(server.output).toContain('"msg":"ready"'), PATIENT);
    const printed = (pattern: RegExp) => pattern.exec(server.output)?.[0] ?? '';
    const url = printed(/http:\/\/127\.0\.0\.1:\d+/);

    const shell = start('bash', [], { BIOLAYER_URL: url, PORT: receiverPort });
    const type = (commands: string) =>
      shell.process.stdin?.write(
        commands
          .replace('blk_live_…', printed(/blk_live_\w+/))
          .replace('blw_…', printed(/blw_\w+/))
          .replace('http://127.0.0.1:3000', url)
          .replace('127.0.0.1:4000', `127.0.0.1:${receiverPort}`),
      );
    type(people);
    await vi.waitFor(() => {
      expect(shell.output).toContain('waiting for offers');
      expect(shell.output).toContain(`listening on http://127.0.0.1:${receiverPort}/webhooks/biolayer`);
    }, PATIENT);

    type(create);
    await vi.waitFor(() => expect(shell.output).toMatch(/ {2}9 {2}task\.completed$/m), PATIENT);
    const received = () => [...shell.output.matchAll(/([0-9a-f-]{36}) {2}\d {2}task\.\w+$/gm)];
    await vi.waitFor(() => expect(received()).toHaveLength(9), PATIENT);
    const taskId = received()[0]?.[1] ?? '';

    type(`${look.replaceAll('<task_id>', taskId)}\necho looked\n`);
    await vi.waitFor(() => expect(shell.output).toMatch(/^looked$/m), PATIENT);
    expect(shell.output).toMatch(
      new RegExp(`^${taskId} {2}completed {2}high {5}Verify endpoint owner activity$`, 'm'),
    );
    expect(shell.output).toMatch(/^ {2}9 {2}\S+ {2}task\.completed .*"reached_user":true/m);
    expect(shell.output).toMatch(/^valid {4}true$/m);
    expect(shell.output).not.toMatch(/refused|Error/);
  },
  LIMIT,
);
