// Start and end of processes: each fault is one line with its remedy and exit code 1, and a signal to the parent of a
// process ends the process.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { startProcess } from '../support/processes.ts';

/** Each test starts Node, on a machine that may be busy. */
vi.setConfig({ testTimeout: 90_000 });

let redis: OwnRedis;
let dir: string;
let env: Record<string, string>;

beforeAll(async () => {
  redis = await startOwnRedis();
  dir = await mkdtemp(join(tmpdir(), 'biolayer-startup-'));
  env = {
    REDIS_URL: redis.url,
    SECRETS_KEY: randomBytes(32).toString('base64'),
    PORT: '0',
    EVIDENCE_STORE: join(dir, 'evidence'),
    LOG_LEVEL: 'info',
  };
});
afterAll(async () => {
  await redis.stop();
  await rm(dir, { recursive: true });
});

describe('a signal to the parent', () => {
  test.each(['start:web', 'start:worker'])(
    'npm run %s: ends the process and all its children',
    async (script) => {
      const npm = startProcess('npm', ['run', script], env);
      await npm.ready;
      npm.process.kill('SIGTERM');
      await npm.ended;
      await expect.poll(() => npm.hasOrphans()).toBe(false);
      expect(npm.stdout()).toContain('"msg":"shutting down"');
    },
  );

  test('scripts of package.json replace their shell by the process (exec)', async () => {
    const { scripts } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    const running = Object.entries<string>(scripts).filter(([, one]) => /\bnode |script\/|vitest/.test(one));
    expect(running.length).toBeGreaterThan(5);
    expect(running.filter(([, one]) => !one.startsWith('exec '))).toEqual([]);
  });

  test('that arrives twice, as npm forwards it to a process group, lets requests in progress finish', async () => {
    const web = startProcess(process.execPath, ['dist/src/web.js'], env);
    const { url = '' } = await web.ready;
    const socket = createConnection(Number(new URL(url).port), '127.0.0.1');
    let reply = '';
    socket.on('data', (data) => {
      reply += data;
    });
    socket.write(
      'POST /oauth/token HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
    );
    // The request is in progress when the server asks for its body.
    await expect.poll(() => reply).toContain('100 Continue');
    web.process.kill('SIGTERM');
    await expect.poll(() => web.stdout()).toContain('shutting down');
    web.process.kill('SIGTERM');
    socket.write('{}');
    expect(await web.ended).toMatchObject({ code: 0, signal: null });
    expect(reply).toMatch(/HTTP\/1\.1 404 /);
  });
});

describe('a fault of the start', () => {
  const WEB = 'dist/src/web.js';
  const SERVER = 'dist/src/server.js';
  const file = fileURLToPath(import.meta.url);

  async function faultOf(entry: string, change: Record<string, string>): Promise<string> {
    const run = startProcess(process.execPath, [entry], { ...env, ...change });
    const { code, stderr, stdout } = await run.ended;
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/^[^\n]+\n$/) });
    expect(stdout + stderr).not.toMatch(/^ +at /m);
    expect(run.hasOrphans()).toBe(false);
    return stderr;
  }

  test('reports a port that is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const port = String((taken.address() as AddressInfo).port);
    const fault = await faultOf(WEB, { PORT: port });
    taken.close();
    expect(fault).toContain(`another process listens on 127.0.0.1:${port}: stop it, or set PORT`);
  });

  test('is reported for the environment, folders, a missing redis-server and Redis', async () => {
    const none = join(dir, 'none');
    const worker = 'dist/src/worker.js';
    const url = `redis://user:secret-word@127.0.0.1:${redis.port}`;
    const cases: [string, Record<string, string>, RegExp][] = [
      [WEB, { PORT: 'x' }, /^PORT must be a whole number/],
      [WEB, { HOST: '192.0.2.1' }, /HOST 192\.0\.2\.1 is not an address of this machine/],
      [
        WEB,
        { EVIDENCE_STORE: `${file}/x` },
        /EVIDENCE_STORE .* cannot be used: a part of its path is a file/,
      ],
      [SERVER, { REDIS_URL: '', DATA_DIR: file }, /DATA_DIR .* cannot be used: /],
      [SERVER, { REDIS_URL: '', DATA_DIR: none, PATH: '/nowhere' }, /needs redis-server or valkey-server/],
      [worker, { REDIS_URL: url }, /rejects the user or password in REDIS_URL/],
    ];
    const faults = await Promise.all(cases.map(([entry, change]) => faultOf(entry, change)));
    for (const [index, [, , expected]] of cases.entries()) expect(faults[index]).toMatch(expected);
    expect(faults.join()).not.toContain('secret-word');
  });
});
