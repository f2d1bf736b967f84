// Runs the functions of docs/webhooks.md that verify a signature by hand, against the vector of Standard Webhooks.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const TIMESTAMP = 1_614_265_330;
const BODY = '{"test": 2432232314}';
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
const HEADERS = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': String(TIMESTAMP),
  'webhook-signature': `v1,AAAA ${SIGNATURE}`,
};
/** Arguments for the functions, and whether they describe a genuine request. */
const CASES: [headers: Record<string, string>, body: string, now: number, isGenuine: boolean][] = [
  [HEADERS, BODY, TIMESTAMP + 300, true],
  [HEADERS, BODY, TIMESTAMP + 301, false],
  [HEADERS, BODY, TIMESTAMP - 301, false],
  [HEADERS, `${BODY} `, TIMESTAMP, false],
  [{ ...HEADERS, 'webhook-id': 'msg_other' }, BODY, TIMESTAMP, false],
  [{ ...HEADERS, 'webhook-signature': SIGNATURE.replace('v1,', 'v1a,') }, BODY, TIMESTAMP, false],
];
const EXPECTED = CASES.map(([, , , isGenuine]) => isGenuine);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'verify-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The code of docs/webhooks.md in a language that is marked as verifying. */
function codeIn(language: string): string {
  const text = readFileSync('docs/webhooks.md', 'utf8');
  const [, code] = new RegExp(`^\`\`\`${language} verify\\n(.*?)^\`\`\`$`, 'ms').exec(text) ?? [];
  if (code === undefined) throw new Error(`docs/webhooks.md has no verifying ${language}`);
  return code;
}

/** Whether a program is installed. */
function has(program: string): boolean {
  try {
    execFileSync(program, [program === 'openssl' ? 'version' : '--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('Node', async () => {
  writeFileSync(join(folder, 'verify.mjs'), codeIn('js'));
  const { isGenuine } = await import(join(folder, 'verify.mjs'));
  expect(CASES.map(([headers, body, now]) => isGenuine(SECRET, headers, body, now))).toEqual(EXPECTED);
});

test.runIf(has('python3'))('Python', () => {
  const calls = `
import json, sys
for headers, body, now, _ in json.load(sys.stdin):
    print(is_genuine("${SECRET}", headers, body.encode(), now))
`;
  const input = JSON.stringify(CASES);
  const output = execFileSync('python3', ['-c', codeIn('python') + calls], { input, encoding: 'utf8' });
  expect(output.trim().split('\n')).toEqual(EXPECTED.map((one) => (one ? 'True' : 'False')));
});

test.runIf(has('openssl'))('shell', () => {
  writeFileSync(join(folder, 'body'), BODY);
  const env = {
    PATH: process.env.PATH,
    WEBHOOK_SECRET: SECRET,
    WEBHOOK_ID: HEADERS['webhook-id'],
    WEBHOOK_TIMESTAMP: HEADERS['webhook-timestamp'],
  };
  const output = execFileSync('sh', ['-euc', codeIn('sh')], { cwd: folder, env, encoding: 'utf8' });
  expect(output.trim()).toBe(SIGNATURE);
});
