// `biolayer audit`: the audit log, its export, and the verification of exports and of task histories. The verification
// runs here, independent of the server that stores them.

import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import { readKeySet } from '../state/access/key-set.ts';
import { ExportCheck, type Fault } from '../state/audit/export-file.ts';
import { firstBroken } from '../state/tasks/history.ts';
import { CheckFailed, UsageError } from './faults.ts';
import { addPageFlags, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { type HistorySource, readWholeHistory } from './history.ts';
import { parseJson } from './json.ts';
import { openOutput, openSession, readText, type Streams } from './session.ts';

const TASK_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Adds `biolayer audit`. */
export function addAuditCommands(program: Command, streams: Streams): void {
  const audit = program.command('audit').description('the audit log, and the histories of tasks');
  audit
    .command('verify')
    .description("verify the hash chain of a task's history, or an export file (without a server)")
    .argument('<task_id or file>')
    .option('--keys <file>', 'JWK set of the public keys that must have signed the file')
    .action(async (target: string, flags: { keys?: string }, command: Command) => {
      if (TASK_ID.test(target)) await verifyTask(target, command, streams);
      else await verifyFile(target, flags.keys, command, streams);
    });
  addPageFlags(audit.command('list').description('list changes of keys, tokens, secrets and the org')).action(
    async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.audit.list(pageQuery(flags));
      const fields = ['sequence', 'at', 'actor', 'action', 'target.type', 'target.id'];
      showPage(out, page, fields);
    },
  );
  audit
    .command('export')
    .description('print the audit log and the histories of all tasks, signed, one JSON document per line')
    .option('--from <time>', 'RFC 3339')
    .option('--to <time>', 'RFC 3339, exclusive')
    .action(async (flags: { from?: string; to?: string }, command: Command) => {
      const { api } = await openSession(command, streams);
      const text = new TextDecoder();
      const { from, to } = flags;
      for await (const bytes of await api.audit.export(givenOnly({ from, to })))
        await write(streams, text.decode(bytes, { stream: true }));
    });
  audit
    .command('keys')
    .description('print the public keys that verify exports, for --keys')
    .action(async (_flags: unknown, command: Command) => {
      const { api } = await openSession(command, streams);
      const keys = await api.audit.listKeys();
      await write(streams, `${JSON.stringify(keys, null, 2)}\n`);
    });
}

async function verifyTask(taskId: string, command: Command, streams: Streams): Promise<void> {
  const texts: string[] = [];
  const { api, out } = await openSession(command, streams, 'api_key', async (input, init) => {
    const response = await fetch(input, init);
    texts.push(await response.clone().text());
    return response;
  });
  const { valid, broken, entries, head, reason } = await judgeTask({ api, texts }, taskId);
  const finding = { task_id: taskId, valid, entries, head, first_broken: broken, reason };
  out.answer(finding, () => out.record(finding, Object.keys(finding)));
  if (reason !== null) throw new CheckFailed(reason);
}

async function judgeTask(source: HistorySource, taskId: string) {
  try {
    const { entries, head } = await readWholeHistory(source, taskId);
    const broken = firstBroken(entries, head);
    return {
      valid: broken === null,
      broken,
      entries: entries.length,
      head: entries.at(-1)?.hash ?? null,
      reason: broken === null ? null : `The history is not valid from entry ${broken} on.`,
    };
  } catch (error) {
    if (!(error instanceof CheckFailed)) throw error;
    return { valid: false, broken: null, entries: 0, head: null, reason: error.message };
  }
}

async function verifyFile(
  file: string,
  keysFile: string | undefined,
  command: Command,
  streams: Streams,
): Promise<void> {
  const out = openOutput(command, streams);
  const keys = keysFile === undefined ? null : readKeySet(parseJson(await readText(keysFile), keysFile));
  const check = new ExportCheck(keys === null ? null : (keyId) => keys.get(keyId) ?? null);
  const fault = await firstFault(file, check);
  const { header, lines, chains, entries } = check;
  const finding = {
    file,
    valid: fault === null,
    signatures: keys === null ? 'not checked' : fault === null ? 'valid' : 'see first_broken_line',
    org_id: header?.org_id ?? null,
    from: header?.from ?? null,
    to: header?.to ?? null,
    key_id: header?.key_id ?? null,
    lines,
    chains,
    entries,
    first_broken_line: fault?.line ?? null,
    reason: fault?.reason ?? null,
  };
  out.answer(finding, () => out.record(finding, Object.keys(finding)));
  if (fault !== null) throw new CheckFailed(`Line ${fault.line} is not valid: ${fault.reason}.`);
  if (keys === null) out.note('The signatures were not checked: pass the public keys with --keys.');
}

/** Longest line, bytes: much larger than an entry with the largest output. */
const LINE_BYTES = 16 * 1024 * 1024;
const LINE_FEED = 0x0a;

/** Checks a file line by line, as bytes. @returns the first fault; null for none. @throws UsageError when it cannot be read. */
async function firstFault(file: string, check: ExportCheck): Promise<Fault | null> {
  const input = createReadStream(file);
  let rest: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
        const fault = check.line(Buffer.concat([...rest, chunk.subarray(from, end)]));
        if (fault !== null) return fault;
        rest = [];
        length = 0;
        from = end + 1;
      }
      rest.push(chunk.subarray(from));
      length += chunk.length - from;
      if (length > LINE_BYTES) return { line: check.lines + 1, reason: 'the line is too long for an entry' };
    }
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  } finally {
    input.destroy();
  }
  return check.end(length);
}

/** Writes to stdout; waits while its buffer is full. */
async function write({ stdout }: Streams, text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    if (stdout.write(text) === false && stdout.once !== undefined) stdout.once('drain', resolve);
    else resolve();
  });
}
