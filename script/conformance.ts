// Runs the conformance suite of MCP against the server at BIOLAYER_URL and judges its checks. The suite cannot send a
// credential, so its requests pass through a proxy that adds one. Most scenarios call tools that a server must have for the
// suite; of these only the form of the messages counts.

import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Time limit of the scenarios of one protocol version, ms; they take about two seconds. */
const LIMIT = 120_000;

/** The scenarios that apply, by protocol version. All their checks must pass, apart from those of `NOT_APPLICABLE`. */
const SCENARIOS: Record<string, readonly string[]> = {
  '2025-11-25': ['server-initialize', 'ping', 'tools-list', 'resources-list', 'dns-rebinding-protection'],
  '2026-07-28': [
    'server-stateless',
    'tools-list',
    'resources-list',
    'sep-2164-resource-not-found',
    'dns-rebinding-protection',
    'caching',
    'http-header-validation',
    'input-required-result-unsupported-methods',
  ],
};

/** Checks that do not apply to this server, with the reason. */
const NOT_APPLICABLE: Record<string, string> = {
  'sep-2575-server-rejects-undeclared-capability': 'needs a tool of the suite',
  'sep-2575-missing-capability-http-400': 'needs a tool of the suite',
  'sep-2575-http-server-no-independent-requests-on-stream': 'needs a tool of the suite',
  'sep-2575-server-no-log-without-loglevel': 'needs a tool of the suite',
  'sep-2575-server-sends-subscription-ack': 'nothing can be subscribed to: the lists never change',
  'sep-2575-server-tags-subscription-id': 'nothing can be subscribed to: the lists never change',
  'sep-2549-prompts-list-caching-hints': 'there are no prompts',
};

/** The check of the form of all messages, which counts in every scenario. */
const FORM = 'wire-schema-valid';

interface Check {
  id: string;
  status: string;
  errorMessage?: string;
}

const { BIOLAYER_URL = '', BIOLAYER_API_KEY = '' } = process.env;
const [suite = ''] = process.argv.slice(2);
const proxy = await startProxy(new URL(BIOLAYER_URL), BIOLAYER_API_KEY);
const failures: string[] = [];
for (const [version, scenarios] of Object.entries(SCENARIOS)) {
  const results = await runSuite(version, `http://localhost:${(proxy.address() as AddressInfo).port}/mcp`);
  const applying = results.filter(({ scenario }) => scenarios.includes(scenario));
  for (const name of scenarios)
    if (!applying.some(({ scenario }) => scenario === name)) failures.push(`${version} ${name}: did not run`);
  for (const { scenario, checks } of results)
    for (const { id, status, errorMessage = '' } of checks) {
      const counts = id === FORM || (scenarios.includes(scenario) && !(id in NOT_APPLICABLE));
      if (counts && status === 'FAILURE')
        failures.push(`${version} ${scenario}: ${id} failed. ${errorMessage}`);
    }
  console.log(`==> MCP ${version}: ${applying.length} scenarios that apply, ${results.length} in all`);
}
proxy.close();
for (const failure of failures) console.error(failure);
process.exitCode = failures.length === 0 ? 0 : 1;

/** Runs all scenarios that a version requires. @returns the checks of each */
async function runSuite(version: string, url: string): Promise<{ scenario: string; checks: Check[] }[]> {
  const folder = join(suite, version);
  const bin = join(suite, 'node_modules', '.bin');
  const args = [join(bin, 'conformance'), 'server', '--url', url, '--requirements', version, '-o', folder];
  // Fails whenever a scenario does; what counts is in the files that it writes.
  await promisify(execFile)(join(bin, 'node'), args, { timeout: LIMIT }).catch(() => {});
  return Promise.all(
    (await readdir(folder)).map(async (name) => ({
      scenario: name.replace(/^server-(.+?)-\d{4}-\d\d-\d\dT.*$/, '$1'),
      checks: JSON.parse(await readFile(join(folder, name, 'checks.json'), 'utf8')) as Check[],
    })),
  );
}

/** Starts a proxy that adds the credential. Its own host becomes that of the server; other hosts and origins stay. */
async function startProxy(target: URL, credential: string): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    const { host = '', origin } = incoming.headers;
    const isOwn = host.endsWith(`:${(server.address() as AddressInfo).port}`);
    const headers = {
      ...incoming.headers,
      authorization: `Bearer ${credential}`,
      ...(isOwn && { host: target.host }),
      ...(isOwn && origin === `http://${host}` && { origin: target.origin }),
    };
    const upstream = request(new URL(incoming.url ?? '', target), { method: incoming.method, headers });
    upstream.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    upstream.on('error', () => outgoing.destroy());
    incoming.pipe(upstream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
