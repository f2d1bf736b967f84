// The audit export: written by the API and verified offline by the command, which names the line of any tampering. Also:
// export speed follows the reader, and the export ends when the key is revoked.
import { createPublicKey, verify } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import canonicalize from 'canonicalize';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { digestOf, newAuditEvent } from '../../../../src/state/audit/audit.ts';
import type { Task } from '../../../../src/state/tasks/task.ts';
import { commitAudited } from '../../../../src/store/audit/audit-log.ts';
import { auditKeysKey } from '../../../../src/store/audit/signing-keys.ts';
import type { Db } from '../../../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../../../src/store/redis/keys.ts';
import { createKey, createOrg, createPool, type Org, startApi } from '../../../support/api.ts';
import { type CommandResult, runCommand } from '../../../support/cli.ts';
import { addTask, addWorker, applyCommands, openTestDb } from '../../../support/db.ts';
import { deferred } from '../../../support/deferred.ts';
import { disconnectDuring } from '../../../support/disconnecting-client.ts';
import { withClockAhead } from '../../../support/processors.ts';

const HOUR = 3600_000;
const TASKS = 400;
const api = await startApi();
const db = await openTestDb(api.prefix);
const dir = await mkdtemp(join(tmpdir(), 'biolayer-export-'));
afterAll(async () => {
  await api.close();
  await rm(dir, { recursive: true, force: true });
});

interface Line {
  kind: string;
  chain?: string;
  entry?: { sequence: number; type?: string; hash: string; data: object };
  [field: string]: unknown;
}

/** The org of all tests: of two hours ago a task that is over and one that is open; of one hour ago its end. */
let org: Org;
let over: Task;
let open: Task;
let lines: string[];
let keys: string;
const ago = (hours: number): Db => withClockAhead(db, -hours * HOUR);

beforeAll(async () => {
  org = await createOrg(api);
  await addWorker(db, org.org_id, { worker_id: 'w' });
  over = await addTask(ago(3), org.org_id);
  open = await addTask(ago(3), org.org_id);
  await applyCommands(ago(1), over, { name: 'cancel', reason: 'no longer needed' });
  // Its log begins an hour ago, too: no entry may be earlier than the one before.
  const { audit, auditHead } = orgKeysOf(api.prefix, org.org_id);
  await api.redis.del(audit, auditHead);
  for (const name of ['a', 'b', 'c'])
    await commitAudited(ago(1), org.org_id, newAuditEvent('operator', 'thing.made', 'thing', name), {
      guards: [],
      writes: [],
    });
  keys = join(dir, 'keys.json');
  const set = await api.client(null).request('GET', '/.well-known/biolayer-audit-keys.json');
  await writeFile(keys, set.text);
  lines = await exported('');
});

async function exported(query: string, from: Org = org): Promise<string[]> {
  const answer = await from.client.request('GET', `/v1/audit/export${query}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
  return answer.text.trimEnd().split('\n');
}

const parsed = (text: readonly string[]) => text.map((line) => JSON.parse(line) as Line);
const shape = (text: readonly string[]) =>
  parsed(text).map(({ kind, chain, entry }) =>
    [kind, chain, entry?.sequence].filter((one) => one !== undefined).join(' '),
  );

async function verified(text: readonly string[], ...flags: string[]): Promise<CommandResult> {
  const file = join(dir, 'export.ndjson');
  await writeFile(file, text.map((line) => `${line}\n`).join(''));
  return runCommand(['audit', 'verify', file, ...flags], { env: {} });
}

describe('an export', () => {
  test('has every chain with its signed head, and verifies without a server', async () => {
    const log = parsed(lines).filter((one) => one.chain === 'org');
    expect(log.at(-1)).toMatchObject({ kind: 'head', n: 1, last: log.length - 1 });
    const tasks = shape(lines).filter((one) => one.includes('task/'));
    expect(tasks).toEqual(
      [over, open].flatMap(({ task_id }) => [
        `entry task/${task_id} 1`,
        `entry task/${task_id} 2`,
        ...(task_id === over.task_id ? [`entry task/${task_id} 3`] : []),
        `head task/${task_id}`,
      ]),
    );
    expect(await verified(lines, '--keys', keys)).toMatchObject({ code: 0, stderr: '' });
    const unsigned = await verified(lines);
    expect(unsigned).toMatchObject({ code: 0 });
    expect(unsigned.stderr).toContain('signatures were not checked');
    const json = JSON.parse((await verified(lines, '--keys', keys, '--json')).stdout);
    expect(json).toMatchObject({ valid: true, signatures: 'valid', chains: 3, org_id: org.org_id });
  });

  test('is signed so that other implementations can verify it', async () => {
    const set = await api
      .client(null)
      .get<{ keys: { kid: string; x: string }[] }>('/.well-known/biolayer-audit-keys.json');
    const [header, ...rest] = parsed(lines);
    const key = set.keys.find((one) => one.kid === header?.key_id);
    const publicKey = createPublicKey({ key: { ...key, kty: 'OKP', crv: 'Ed25519' }, format: 'jwk' });
    const signed = rest.filter((one) => one.kind !== 'entry');
    expect(signed).toHaveLength(4);
    for (const { signature, ...line } of signed) {
      const bytes = Buffer.from(canonicalize({ ...line, export: digestOf(header ?? {}) }) ?? '');
      expect(verify(null, bytes, publicKey, Buffer.from(String(signature), 'base64url'))).toBe(true);
    }
    const kept = await api.redis.get(auditKeysKey(api.prefix));
    expect(kept).toContain('"sealed":"s1.');
  });

  test('contains the entries from one time up to another', async () => {
    const at = (hours: number) => new Date(db.clock.now() - hours * HOUR).toISOString();
    const early = await exported(`?to=${at(2)}`);
    expect(shape(early).filter((one) => one.startsWith('entry'))).toHaveLength(4);
    const late = await exported(`?from=${at(2)}&to=${at(0.5)}`);
    expect(shape(late).slice(1, -1)).toEqual([
      'entry org 1',
      'entry org 2',
      'entry org 3',
      'head org',
      `entry task/${over.task_id} 3`,
      `head task/${over.task_id}`,
    ]);
    const nothing = await exported(`?from=${at(0.6)}&to=${at(0.5)}`);
    expect(shape(nothing)).toEqual(['export', 'end']);
    for (const one of [early, late, nothing])
      expect(await verified(one, '--keys', keys)).toMatchObject({ code: 0 });
    const outcome = async (query: string) =>
      (await org.client.request('GET', `/v1/audit/export${query}`)).outcome;
    expect(await outcome(`?from=${at(1)}&to=${at(2)}`)).toBe('400 invalid_query');
    expect(await outcome('?from=yesterday')).toBe('400 invalid_query');
  });

  test('requires an unconfined key of this org with the scope', async () => {
    const confined = await createKey(api, org.client, { pools: [await createPool(org.client)] });
    expect((await confined.request('GET', '/v1/audit/export')).outcome).toBe('403 pool_forbidden');
    const weak = await createKey(api, org.client, { scopes: ['tasks:read'] });
    expect((await weak.request('GET', '/v1/audit/export')).outcome).toBe('403 insufficient_scope');
    const other = await createOrg(api);
    expect((await exported('', other)).join()).not.toContain(over.task_id);
  });
});

describe('a file that was tampered with', () => {
  const at = (pattern: string) => lines.findIndex((line) => line.includes(pattern));
  const replaced = (index: number, from: string, to: string) => {
    expect(lines[index]).toContain(from);
    return lines.map((line, place) => (place === index ? line.replace(from, to) : line));
  };
  const without = (...gone: number[]) => lines.filter((_line, place) => !gone.includes(place));
  /** The line of the last entry of the task that is over. */
  const lastEntry = () => at('no longer needed');

  const cases: [string, () => string[], () => number][] = [
    ['an entry changed', () => replaced(lastEntry(), 'no longer', 'still'), () => lastEntry()],
    ['a field added to an entry', () => replaced(lastEntry(), '"actor"', '"x":1,"actor"'), () => lastEntry()],
    ['a field added to a line', () => replaced(lastEntry(), '"kind"', '"a":1,"kind"'), () => lastEntry()],
    ['an entry missing', () => without(lastEntry() - 1), () => lastEntry() - 1],
    ['the first entry missing', () => without(lastEntry() - 2), () => lastEntry() + 0],
    ['the last entry missing', () => without(lastEntry()), () => lastEntry()],
    ['a head missing', () => without(lastEntry() + 1), () => lastEntry() + 1],
    ['a chain missing', () => without(...[-2, -1, 0, 1].map((by) => lastEntry() + by)), () => lastEntry()],
    ['a head changed', () => replaced(lastEntry() + 1, '"last":3', '"last":4'), () => lastEntry() + 1],
    ['an entry of the log missing', () => without(at('thing.made') + 1), () => at('thing.made') + 1],
    [
      'two lines in the other order',
      () => lines.toSpliced(lastEntry() - 1, 2, lines[lastEntry()] ?? '', lines[lastEntry() - 1] ?? ''),
      () => lastEntry() - 1,
    ],
    [
      'the range changed',
      () => replaced(0, '"from":null', '"from":"2000-01-01T00:00:00.000Z"'),
      () => at('"head"'),
    ],
    ['the end missing', () => lines.slice(0, -1), () => lines.length - 1],
    ['a line behind the end', () => [...lines, '{}'], () => lines.length],
    ['no JSON', () => lines.with(1, '{'), () => 1],
  ];
  test.each(cases)('is detected by %s', async (_name, change, place) => {
    const { code, stderr } = await verified(change(), '--keys', keys);
    expect({ code, line: /^Line (\d+) /.exec(stderr)?.[1] }).toEqual({ code: 4, line: String(place() + 1) });
  });

  /** Ways to write a line differently that say the same to a parser of JSON. */
  const rewritten: [string, (line: string) => string][] = [
    ['a member added', (line) => line.replace(/}$/, ',"z":1}')],
    ['a member called __proto__ added', (line) => line.replace('{', '{"__proto__":{},')],
    ['the hash of the export added', (line) => line.replace('"kind"', '"export":"","kind"')],
    ['a member doubled', (line) => line.replace(/"kind":("\w+")/, '"kind":"x","kind":$1')],
    ['a member doubled alike', (line) => line.replace(/("kind":"\w+")/, '$1,$1')],
    [
      'members in another order',
      (line) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(line)).reverse())),
    ],
    ['white space', (line) => line.replace(':', ': ')],
    ['white space before', (line) => ` ${line}`],
    ['a carriage return behind', (line) => `${line}\r`],
    ['a byte order mark', (line) => `\ufeff${line}`],
    ['a number as a fraction', (line) => line.replace(/(?<=":)(\d+)(?=[,}])/, '$1.0')],
    ['a number with an exponent', (line) => line.replace(/(?<=":)(\d+)(?=[,}])/, '$1e0')],
    ['a letter escaped', (line) => line.replace('"kind"', '"\\u006bind"')],
    ['more behind it', (line) => `${line}{}`],
    ['a comma behind it', (line) => `${line},`],
    ['another line break', (line) => line.replace(',', ',\u2028')],
  ];
  test.each(rewritten)(
    'is detected by a line of any kind with %s, with and without keys',
    async (_name, rewrite) => {
      const index = (kind: string) => parsed(lines).findIndex((line) => line.kind === kind);
      for (const place of ['export', 'entry', 'head', 'end'].map(index)) {
        const changed = lines.map((line, at) => (at === place ? rewrite(line) : line));
        expect(changed[place]).not.toBe(lines[place]);
        for (const flags of [[], ['--keys', keys]]) {
          const { code, stderr } = await verified(changed, ...flags);
          expect({ code, line: /^Line (\d+) /.exec(stderr)?.[1] }).toEqual({
            code: 4,
            line: String(place + 1),
          });
        }
      }
    },
  );

  test('is detected by a signature in another encoding', async () => {
    const place = lines.findIndex((line) => line.includes('"kind":"head"'));
    const signature = parsed(lines)[place]?.signature;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const text = String(signature);
    const next = alphabet[alphabet.indexOf(text.at(-1) ?? '') ^ 1] ?? '';
    for (const other of [`${text}==`, `${text} `, `${text}A`, text.slice(0, -1) + next]) {
      expect(Buffer.from(other, 'base64url').subarray(0, 64)).toEqual(Buffer.from(text, 'base64url'));
      expect((await verified(replaced(place, text, other), '--keys', keys)).code).toBe(4);
    }
  });

  test('is detected by bytes that are not UTF-8, or a missing line feed at the end', async () => {
    const file = join(dir, 'bytes.ndjson');
    const whole = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    const found = async (bytes: Buffer) => {
      await writeFile(file, bytes);
      return runCommand(['audit', 'verify', file, '--keys', keys], { env: {} });
    };
    expect((await found(whole)).code).toBe(0);
    expect((await found(whole.subarray(0, -1))).stderr).toContain(`Line ${lines.length} is not valid`);
    expect((await found(Buffer.concat([whole, Buffer.from('\n')]))).code).toBe(4);
    expect((await found(Buffer.concat([whole, Buffer.from(' ')]))).code).toBe(4);
    const place = whole.indexOf('no longer');
    expect((await found(Buffer.from(whole).fill(0xff, place, place + 1))).code).toBe(4);
  });

  test('is not reported for texts with line separators and byte order marks', async () => {
    const other = await createOrg(api);
    const task = await addTask(ago(1), other.org_id);
    await applyCommands(ago(1), task, {
      name: 'cancel',
      reason: 'one\u2028two\u2029three\u0085\ufeff \u{1f600}',
    });
    expect(await verified(await exported('', other), '--keys', keys)).toMatchObject({ code: 0 });
  });

  test('is detected by the signature of the head if a chain was recomputed from its first entry', async () => {
    const from = lastEntry() - 2;
    let previous: string | null = null;
    const forged = lines.map((line, place) => {
      if (place < from || place > lastEntry() + 1) return line;
      const one = JSON.parse(line) as Line;
      if (one.entry === undefined) return canonicalize({ ...one, hash: previous }) ?? '';
      const { hash: _hash, ...rest } = { ...one.entry, actor: 'nobody', previous_hash: previous };
      previous = digestOf(rest);
      return canonicalize({ ...one, entry: { ...rest, hash: previous } }) ?? '';
    });
    expect(await verified(forged)).toMatchObject({ code: 0 });
    const { code, stderr } = await verified(forged, '--keys', keys);
    expect(code).toBe(4);
    expect(stderr).toContain(`Line ${lastEntry() + 2} is not valid`);
  });

  test('is reported for an unknown key, and a missing file exits 2', async () => {
    const none = join(dir, 'none.json');
    await writeFile(none, '{"keys":[]}');
    expect((await verified(lines, '--keys', none)).stderr).toContain('Line 1 is not valid');
    expect((await runCommand(['audit', 'verify', join(dir, 'nowhere')], { env: {} })).code).toBe(2);
  });
});

test('the export shows an entry that Redis has lost, even the last', async () => {
  const other = await createOrg(api);
  const task = await addTask(ago(1), other.org_id);
  await api.redis.rpop(orgKeysOf(api.prefix, other.org_id).history(task.task_id));
  const { code, stderr } = await verified(await exported('', other), '--keys', keys);
  expect(code).toBe(4);
  expect(stderr).toContain('ends with entry 2, which is missing');
});

test('the command downloads the export and the keys', async () => {
  const env = { BIOLAYER_URL: api.url, BIOLAYER_API_KEY: org.client.credential ?? '' };
  const taken = await runCommand(['audit', 'export'], { env });
  expect(taken.code).toBe(0);
  expect(await verified(taken.stdout.trimEnd().split('\n'), '--keys', keys)).toMatchObject({ code: 0 });
  const shown = await runCommand(['audit', 'keys'], { env });
  expect(JSON.parse(shown.stdout).keys).toHaveLength(1);
  expect((await runCommand(['audit', 'list'], { env })).stdout).toContain('thing.made');
});

test('the export is as fast as its reader, and stops when the reader disconnects', async () => {
  const many = await createOrg(api);
  // More than what the sockets in between take in by themselves.
  const reason = 'x'.repeat(40_000);
  for (let made = 0; made < TASKS; made += 100)
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const task = await addTask(ago(1), many.org_id);
        await applyCommands(ago(1), task, { name: 'cancel', reason });
      }),
    );
  const loads = countLoads(many.org_id);
  const path = `${api.url}/v1/audit/export`;
  const response = await new Promise<IncomingMessage>((resolve) => {
    get(path, { headers: { Authorization: `Bearer ${many.client.credential}` } }, resolve);
  });
  onTestFinished(() => void response.destroy());
  const before = await settled(loads);
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(TASKS);
  response.destroy();
  // The step that was under way, and no other.
  expect(await settled(loads)).toBeLessThanOrEqual(before + 50);
});

test('reads no task when the client hangs up while the first line is awaited', async () => {
  const many = await createOrg(api);
  for (let made = 0; made < 120; made += 1) {
    const task = await addTask(ago(1), many.org_id);
    await applyCommands(ago(1), task, { name: 'cancel', reason: null });
  }
  const { redis } = api.web.db;
  const { open: release, opened: released } = deferred();
  const { open: hold, opened: held } = deferred();
  const get = redis.get.bind(redis);
  const first = vi.spyOn(redis, 'get').mockImplementation(async (name) => {
    if (name !== auditKeysKey(api.prefix)) return get(name);
    hold();
    await released;
    return get(name);
  });
  const loads = countLoads(many.org_id);
  onTestFinished(() => first.mockRestore());
  await disconnectDuring(`${api.url}/v1/audit/export`, many.client.credential, held);
  release();
  expect(await settled(loads)).toBe(0);
});

/** Counts the tasks of an org that the API loads from now on, each with its history by one command. */
function countLoads(orgId: string): () => number {
  const sent = vi.spyOn(api.web.db.redis, 'sendCommand');
  onTestFinished(() => sent.mockRestore());
  const history = orgKeysOf(api.prefix, orgId).history('');
  return () => sent.mock.calls.filter(([{ args }]) => String(args[3]).startsWith(history)).length;
}

/** The count once it no longer grows. */
async function settled(count: () => number): Promise<number> {
  for (let seen = -1; seen !== count(); await sleep(250)) seen = count();
  return count();
}
