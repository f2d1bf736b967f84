// Runs the reverse proxies of deploy/ in front of web processes, on free ports of loopback. Their files are used as they stand,
// except for what they say to replace: names, addresses, ports and paths.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './own-redis.ts';

export const PROXIES = ['nginx', 'caddy'] as const;
export type ProxyName = (typeof PROXIES)[number];

/** The name that the examples have for the API. */
export const HOST = 'api.example.com';
/** Debian puts nginx where only root looks. */
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
const START_LIMIT = 15_000;

/** Path of the program; undefined when it is not installed. */
const programOf = (name: ProxyName): string | undefined =>
  FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));

/** Why tests of this proxy are skipped; null when it is installed. */
export function missing(name: ProxyName): string | null {
  return programOf(name) === undefined ? `${name} is not installed (Debian: apt-get install ${name})` : null;
}

interface SentRequest {
  method?: string;
  credential?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Address of loopback from which the client connects. */
  from?: string;
}

export interface ReverseProxy {
  /** Where clients reach it with TLS. */
  readonly port: number;
  readonly plainPort: number;
  /** The certificate, PEM. */
  readonly ca: string;
  /** Opens a request with TLS, which the caller completes. */
  open(path: string, options?: SentRequest): ClientRequest;
  /** Sends a request. @returns the whole response */
  send(path: string, options?: SentRequest): Promise<Received>;
  /** What it has logged. */
  output(): string;
  stop(): Promise<void>;
}

export interface Received {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

/** Starts a proxy in front of the web processes on these ports of loopback. */
export async function startReverseProxy(
  name: ProxyName,
  webs: readonly [number, number],
): Promise<ReverseProxy> {
  const dir = await mkdtemp(join(tmpdir(), `biolayer-${name}-`));
  const [port, plainPort] = [await freePort(), await freePort()];
  const ca = makeCertificate(dir);
  const place = { dir, port, plainPort, webs };
  const args = name === 'nginx' ? await configureNginx(place) : await configureCaddy(place);
  const child = spawn(programOf(name) ?? name, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Caddy keeps its state here.
    env: { ...process.env, HOME: dir, XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  const killAtExit = () => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const ended = once(child, 'exit');
  const stop = async () => {
    // On SIGTERM nginx ends its workers at once; Caddy, which has none, would wait for open streams.
    child.kill(name === 'nginx' ? 'SIGTERM' : 'SIGKILL');
    await ended;
    process.removeListener('exit', killAtExit);
    await rm(dir, { recursive: true, force: true });
  };
  for (const limit = performance.now() + START_LIMIT; !(await accepts(port)); await sleep(50))
    if (child.exitCode !== null || performance.now() > limit) {
      await stop();
      throw new Error(`${name} did not start: ${output}`);
    }
  const open = (path: string, { method = 'GET', credential, headers, from, body }: SentRequest = {}) =>
    secureRequest({
      host: '127.0.0.1',
      port,
      path,
      method,
      ca,
      servername: HOST,
      agent: false,
      ...(from !== undefined && { localAddress: from }),
      headers: {
        Host: HOST,
        ...(credential !== undefined && { Authorization: `Bearer ${credential}` }),
        ...(typeof body === 'string' && { 'Content-Type': 'application/json' }),
        ...(body !== undefined && { 'Content-Length': String(Buffer.byteLength(body)) }),
        ...headers,
      },
    });
  return {
    port,
    plainPort,
    ca,
    open,
    async send(path, options = {}) {
      const request = open(path, options);
      // A refusal may arrive before the whole body is sent; the connection is then reset.
      request.on('error', () => undefined);
      const answered = received(request);
      request.end(options.body);
      return answered;
    },
    output: () => output,
    stop,
  };
}

/** Sends a GET without TLS. */
export function sendPlain({ plainPort }: ReverseProxy, path: string): Promise<Received> {
  const headers = { Host: HOST };
  return received(plainRequest({ host: '127.0.0.1', port: plainPort, path, headers, agent: false }).end());
}

async function received(request: ClientRequest): Promise<Received> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const piece of response.setEncoding('utf8')) text += piece;
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

/** The status and, of an error, its code. */
export function outcome({ status, headers, text }: Received): string {
  if (status < 400) return String(status);
  const isProblem = headers['content-type']?.startsWith('application/problem+json') ?? false;
  return `${status} ${isProblem ? JSON.parse(text).code : `as ${headers['content-type']}`}`;
}

/**
 * Sends a request that is refused while its body is sent. Caddy closes the connection half a second after its answer, so that a
 * client on a busy machine may find a broken connection instead, and asks again.
 */
export async function refused(send: () => Promise<Received>): Promise<string> {
  for (let attempt = 1; ; attempt += 1)
    try {
      return outcome(await send());
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if ((code !== 'ECONNRESET' && code !== 'EPIPE') || attempt === 5) throw error;
    }
}

interface Place {
  dir: string;
  port: number;
  plainPort: number;
  webs: readonly [number, number];
}

/** The text of a file of deploy/ with replacements. @throws Error when what is replaced is not in it */
function adapted(file: string, replacements: readonly (readonly [string, string])[]): string {
  let text = readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8');
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`deploy/${file} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** Writes the configuration of nginx. @returns its arguments */
async function configureNginx({ dir, port, plainPort, webs }: Place): Promise<string[]> {
  const site = adapted('nginx/biolayer.conf', [
    ['listen 80;', `listen 127.0.0.1:${plainPort};`],
    ['listen [::]:80;', ''],
    ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
    ['listen [::]:443 ssl http2;', ''],
    ['/etc/nginx/tls/api.example.com.crt', join(dir, 'cert.pem')],
    ['/etc/nginx/tls/api.example.com.key', join(dir, 'key.pem')],
    ['/var/log/nginx/biolayer.log', join(dir, 'access.log')],
    ['127.0.0.1:3000', `127.0.0.1:${webs[0]}`],
    ['127.0.0.1:3001', `127.0.0.1:${webs[1]}`],
  ]);
  await writeFile(join(dir, 'biolayer.conf'), site);
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (one) => `${one}_temp_path ${dir}/${one};`,
  );
  // Started by root, nginx would give up its rights to the folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  await writeFile(
    join(dir, 'nginx.conf'),
    `daemon off; ${user} worker_processes 1; pid ${dir}/nginx.pid; error_log stderr warn;
events { worker_connections 512; }
http { ${folders.join(' ')} include ${dir}/biolayer.conf; }
`,
  );
  return ['-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf')];
}

/** Writes the configuration of Caddy. @returns its arguments */
async function configureCaddy({ dir, port, plainPort, webs }: Place): Promise<string[]> {
  const ownPlace = `admin off
	default_bind 127.0.0.1
	http_port ${plainPort}
	https_port ${port}
	skip_install_trust
	servers {`;
  const site = adapted('caddy/Caddyfile', [
    ['servers {', ownPlace],
    // It would ask for a certificate from outside.
    ['api.example.com {', `${HOST} {\n\ttls ${join(dir, 'cert.pem')} ${join(dir, 'key.pem')}`],
    ['127.0.0.1:3000', `127.0.0.1:${webs[0]}`],
    ['127.0.0.1:3001', `127.0.0.1:${webs[1]}`],
  ]);
  await mkdir(join(dir, 'state'));
  await writeFile(join(dir, 'Caddyfile'), site);
  return ['run', '--adapter', 'caddyfile', '--config', join(dir, 'Caddyfile')];
}

/** Makes a certificate of the API's name, which is its own authority. @returns its text */
function makeCertificate(dir: string): string {
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2';
  const subject = ['-subj', `/CN=${HOST}`, '-addext', `subjectAltName=DNS:${HOST}`];
  const files = ['-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')];
  execFileSync('openssl', [...request.split(' '), ...subject, ...files], { stdio: 'ignore' });
  return readFileSync(join(dir, 'cert.pem'), 'utf8');
}

/** Whether something listens on the port. */
async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
