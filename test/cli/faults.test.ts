// Failures of the command: the exit code, the message on stderr, and nothing on stdout.
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ConfigError, loadCliConfig } from '../../src/config.ts';
import {
  createKey,
  createOrg,
  freshName,
  OPERATOR_TOKEN,
  type Org,
  startApi,
  type TestApi,
} from '../support/api.ts';
import { jsonOf, runCommand, type Settings } from '../support/cli.ts';
import { taskBody } from '../support/workers.ts';

let api: TestApi;
let org: Org;
let key: string;
let dir: string;

beforeAll(async () => {
  api = await startApi();
  org = await createOrg(api);
  key = org.client.credential ?? '';
  dir = await mkdtemp(join(tmpdir(), 'biolayer-cli-'));
});

afterAll(async () => {
  await api.close();
  await rm(dir, { recursive: true });
});

/** Settings of a command that uses the org's API key. */
function as({ env = {}, ...rest }: Settings = {}): Settings {
  return { env: { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: key, OPERATOR_TOKEN, ...env }, ...rest };
}

const run = (args: readonly string[], given?: Settings) => runCommand(args, as(given));
const json = (args: readonly string[], given?: Settings) => jsonOf(args, as(given));

async function file(content: string): Promise<string> {
  const path = join(dir, freshName('file'));
  await writeFile(path, content);
  return path;
}

/** Starts a server on loopback that is not the API. */
async function startOther(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  await once(server, 'listening');
  return urlOf(server);
}

function urlOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  return `http://127.0.0.1:${address.port}`;
}

describe('exit code', () => {
  it('is 1 when the API refuses the request, with its message and all pointers', async () => {
    const body = JSON.stringify({ ...taskBody(), title: '', sla: { urgency: 'soon' } });
    expect(await run(['tasks', 'create', '--json'], { stdin: body })).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^validation_failed: .*\n {2}\/title {2}.*\n {2}\/sla\/urgency {2}.*\nrequest \S+\n$/,
      ),
    });
    const missing = await run(['tasks', 'get', 'none-such']);
    expect(missing).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^not_found: There is/),
    });
    const weak = await createKey(api, org.client, { scopes: ['tasks:read'] });
    const forbidden = await run(['pools', 'list'], { env: { BIOLAYER_API_KEY: weak.credential ?? '' } });
    expect(forbidden).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^insufficient_scope: .*pools:read/),
    });
  });

  it.each([
    [['tasks', 'creat'], /unknown command 'creat'/],
    [['tasks'], /^Usage: biolayer tasks/],
    [[], /^Usage: biolayer/],
    [['tasks', 'list', '--colour'], /unknown option '--colour'/],
    [['tasks', 'get'], /missing required argument 'task_id'/],
    [['tasks', 'get', 'id', '--wait', 'long'], /It must be a number/],
    [['keys', 'create', '--name', 'x'], /required option '--scope/],
    [
      ['pools', 'create', '--name', 'x', '--offer-mode', 'auction'],
      /Allowed choices are sequential, broadcast/,
    ],
    [['tasks', 'create'], /Pass a file with --file, or the JSON of the task on stdin/],
    [['tasks', 'create', '--file', '/none/such'], /\/none\/such cannot be read: ENOENT/],
    [['tasks', 'list', '--api-key-file', '/none/such'], /\/none\/such cannot be read: ENOENT/],
    [['tasks', 'list', '--url', 'ftp://x'], /BIOLAYER_URL must be an http:\/\/ or https:\/\/ URL/],
  ])('is 2 for the command line %j', async (args, message) => {
    expect(await run(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
  });

  it('is 2 for input that is not JSON and for a missing credential', async () => {
    const broken = await run(['tasks', 'create'], { stdin: '{"title":' });
    expect(broken).toMatchObject({ code: 2, stderr: expect.stringMatching(/^stdin is not JSON: /) });
    const keyless = await run(['tasks', 'list'], { env: { BIOLAYER_API_KEY: undefined } });
    expect(keyless).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/set BIOLAYER_API_KEY, or .* --api-key-file/),
    });
    const unarmed = await run(['orgs', 'create', '--name', 'x'], { env: { OPERATOR_TOKEN: undefined } });
    expect(unarmed).toMatchObject({ code: 2, stderr: expect.stringMatching(/set OPERATOR_TOKEN/) });
  });
});

describe('exit code for a URL that is not the API', () => {
  const list = (url: string) => run(['tasks', 'list', '--json'], { env: { BIOLAYER_URL: url } });

  it('is 3 when no process listens there', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = urlOf(server);
    await new Promise((resolve) => server.close(resolve));
    const ran = await list(url);
    expect(ran).toMatchObject({ code: 3, stdout: '' });
    expect(ran.stderr).toMatch(/^http:\/\/127\.0\.0\.1:\d+ could not be reached: connect ECONNREFUSED/);
  });

  it('is 3 when the response is interrupted', async () => {
    const url = await startOther((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{', () => response.destroy());
    });
    expect(await list(url)).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringMatching(/could not be reached: /),
    });
  });

  it('is 1 when another server responds', async () => {
    const page = await startOther((_request, response) => response.end('<html>Welcome'));
    expect(await list(page)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `not_json: ${page} does not respond with JSON. Is it the URL of the API?\n`,
    });
    const gateway = await startOther((_request, response) =>
      response.writeHead(502).end('<html>Bad gateway'),
    );
    expect(await list(gateway)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'http_502: The answer was no problem document: <html>Bad gateway\n',
    });
  });

  it('is 1 when it redirects, and the credential is not sent on', async () => {
    let followed = 0;
    const elsewhere = await startOther((_request, response) => {
      followed += 1;
      response.end('{}');
    });
    const url = await startOther((_request, response) =>
      response.writeHead(307, { location: elsewhere }).end(),
    );
    expect(await list(url)).toMatchObject({
      code: 1,
      stderr: `redirected: ${url} redirects to ${elsewhere}; use that as the URL.\n`,
    });
    expect(followed).toBe(0);
  });
});

describe('credentials and URL', () => {
  it('come from files or the environment, files first, and never from a flag', async () => {
    const keyFile = await file(`${key}\n`);
    const tokenFile = await file(OPERATOR_TOKEN);
    const env = {
      BIOLAYER_URL: 'http://127.0.0.1:1',
      BIOLAYER_API_KEY: 'blk_live_wrong',
      OPERATOR_TOKEN: 'wrong',
    };
    const flags = ['--url', `${api.url}/`, '--api-key-file', keyFile, '--operator-token-file', tokenFile];
    await json(['tasks', 'list', ...flags], { env });
    await json(['orgs', 'create', '--name', 'x', ...flags], { env });

    const { stdout: help } = await run(['--help']);
    const secretFlags = [...help.matchAll(/--\S*(?:key|token|secret)\S*( <\w+>)/g)].map(([, value]) => value);
    expect(secretFlags).toEqual([' <file>', ' <file>']);
  });

  it('are checked before anything is sent', () => {
    const faultsOf = (env: Record<string, string>) => {
      try {
        loadCliConfig({}, env);
        return [];
      } catch (error) {
        return error instanceof ConfigError ? error.faults : [String(error)];
      }
    };
    expect(faultsOf({})).toEqual([]);
    expect(
      faultsOf({ BIOLAYER_URL: 'api.example', BIOLAYER_API_KEY: 'two words', OPERATOR_TOKEN: 'zwölf' }),
    ).toEqual([
      'BIOLAYER_URL must be an http:// or https:// URL, without user, query or fragment',
      'BIOLAYER_API_KEY must consist of printable ASCII characters without spaces',
      'OPERATOR_TOKEN must consist of printable ASCII characters without spaces',
    ]);
    expect(faultsOf({ BIOLAYER_URL: 'https://user:pass@api.example' })).toHaveLength(1);
    expect(loadCliConfig({}, { BIOLAYER_URL: 'https://api.example/bio/' }).url).toBe(
      'https://api.example/bio',
    );
    expect(loadCliConfig({}, {}).url).toBe('http://127.0.0.1:3000');
  });
});
