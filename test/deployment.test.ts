// The files for deployment: the rights of the containers, and that the files are consistent.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../src/config.ts';
import { freePort } from './support/own-redis.ts';

interface Service {
  image: string;
  build?: { args: Record<string, string> };
  user?: string;
  command: string[];
  ports?: string[];
  networks: string[];
  environment: Record<string, string | number>;
  read_only: boolean;
  cap_drop: string[];
  security_opt: string[];
  mem_limit: string;
  pids_limit: number;
  tmpfs?: string[];
}

const READ_BY_THE_AWS_SDK = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];

function read(name: string): string {
  return readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
}

/** The text with the defaults of its variables, as compose fills them in. */
const text = read('docker-compose.yml').replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
const compose: {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean } | null>;
} = parse(text, { merge: true });
const services = Object.entries(compose.services);
const [redis, web, worker] = ['redis', 'web', 'worker'].map((name) => compose.services[name]);

describe('docker-compose.yml', () => {
  it.each(services)('limits the rights of %s', (_name, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      mem_limit: expect.stringMatching(/^\d+gb$/),
      pids_limit: expect.any(Number),
    });
    expect(service).not.toHaveProperty('privileged');
    expect(service).not.toHaveProperty('cap_add');
  });

  it('names images by their full version', () => {
    const images = [redis?.image, web?.build?.args.NODE_IMAGE, ...services.map(([, one]) => one.image)];
    for (const image of images) expect(image).toMatch(/^[a-z]+:\d+\.\d+\.\d+(-[\w-]+)?$/);
    expect(read('Dockerfile')).toContain(`ARG NODE_IMAGE=${web?.build?.args.NODE_IMAGE}\n`);
    expect([...read('Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)).toEqual(
      Array.from({ length: 3 }, () => '$' + '{NODE_IMAGE}'),
    );
  });

  it('makes Redis reachable only with a password and from its internal network', () => {
    expect(redis).not.toHaveProperty('ports');
    expect(redis?.networks).toEqual(['inside']);
    expect(compose.networks.inside).toEqual({ internal: true });
    for (const service of [web, worker]) {
      expect(service?.environment.REDIS_URL).toMatch(/^redis:\/\/:\$\{REDIS_PASSWORD:\?.*\}@redis:6379$/);
      expect(service?.networks).toContain('inside');
    }
    expect(redis?.user).toBe('redis');
  });

  it('starts a durable Redis whose password is not among the arguments', async () => {
    const [shell = '', ...args] = redis?.command ?? [];
    const dir = await mkdtemp(join(tmpdir(), 'biolayer-compose-'));
    const port = await freePort();
    // compose writes $ as $$. In the test, Redis needs a free port.
    const script = args.map((one) => one.replaceAll('$$', '$').replace(/^END$/m, `port ${port}\nEND`));
    const child = spawn(shell, script, { cwd: dir, env: { ...process.env, REDISCLI_AUTH: 'sesame' } });
    const client = new Redis(port, '127.0.0.1', { password: 'sesame', retryStrategy: () => 50 });
    client.on('error', () => undefined);
    try {
      const settings = await client.config('GET', 'maxmemory*', 'appendonly', 'save', 'requirepass');
      expect(settings).toEqual(expect.arrayContaining(['noeviction', '1073741824', 'yes', 'sesame']));
      expect(child.spawnargs.join(' ')).not.toContain('sesame');
      const ended = once(child, 'exit');
      child.kill('SIGTERM'); // As docker stop does.
      expect(await ended).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
      client.disconnect();
      await rm(dir, { recursive: true });
    }
  });

  it('gives each web process its own port on loopback', () => {
    expect(web?.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+-\d+:3000$/)]);
    for (const [, service] of services) expect(service).not.toHaveProperty('container_name');
  });

  it('sets only variables that are read', () => {
    const names = new Set<string>();
    loadConfig(new Proxy({}, { get: (_, name) => void names.add(String(name)) }), 'server');
    for (const service of [web, worker])
      for (const name of Object.keys(service?.environment ?? {}))
        expect([...names, ...READ_BY_THE_AWS_SDK]).toContain(name);
  });

  it('lets both process types reach the evidence store that .env names', () => {
    for (const service of [web, worker])
      expect(service?.environment).toMatchObject({
        EVIDENCE_STORE: '/data/evidence',
        AWS_ACCESS_KEY_ID: null,
      });
  });
});

describe('script/secrets', () => {
  const run = (file: string) => execFileSync('bash', ['script/secrets', file], { stdio: 'pipe' });

  it('writes what is missing to a file that only its owner can read, and keeps it from then on', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'biolayer-secrets-'));
    try {
      const file = join(dir, '.env');
      await writeFile(file, 'LOG_LEVEL=warn\nOPERATOR_TOKEN=a-token-of-our-own\nSECRETS_KEY=');
      run(file);
      const first = readFileSync(file, 'utf8');
      const env = parseEnv(first);
      expect(env).toMatchObject({ LOG_LEVEL: 'warn', OPERATOR_TOKEN: 'a-token-of-our-own' });
      expect(env.REDIS_PASSWORD).toMatch(/^[0-9a-f]{48}$/);
      expect(loadConfig({ ...env, REDIS_URL: 'redis://127.0.0.1' }, 'web').secretsKey).toBeDefined();
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      run(file);
      expect(readFileSync(file, 'utf8')).toBe(first);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});

it('starts a process with the same flags from the image, by npm and in the benchmark', () => {
  const [, flags] = /^ENV NODE_OPTIONS=(\S+)$/m.exec(read('Dockerfile')) ?? [];
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const [name, file] of Object.entries({
    start: 'server',
    'start:web': 'web',
    'start:worker': 'worker',
  }))
    expect(scripts[name]).toBe(`exec node ${flags} dist/src/${file}.js`);
  expect(read('bench/stage.ts')).toContain(`['${flags}', path]`);
});
