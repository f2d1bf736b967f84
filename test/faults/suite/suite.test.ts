// The fault suite: each fault of the table happens while two orgs are in use. A row is printed for each.
//
//   FAULT_SEED=17 npm run faults -- test/faults/suite/suite.test.ts -t 'kill -9'
//
// FAULT_SEED repeats the moments and decisions of an earlier run; FAULT_ROWS names a file to which the rows are added, as JSON.

import { randomInt } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { type System, startSystem } from '../system.ts';
import { faultsOf } from './mixed-faults.ts';
import { runFault } from './run-fault.ts';
import type { Fault } from './scene.ts';

const seed = process.env.FAULT_SEED ?? String(randomInt(1_000_000));
console.log(`FAULT_SEED=${seed}`);

let running: { system: System; options: string } | null = null;
afterAll(() => running?.system.stop());

/** The running system if it was started with the same options and is whole; otherwise a new one. */
async function systemFor({ system: given = {} }: Fault): Promise<System> {
  const options = typeof given === 'function' ? await given() : given;
  const wanted = JSON.stringify(options);
  if (running?.options === wanted && running.system.isWhole()) return running.system;
  await stopSystem();
  running = { system: await startSystem(options), options: wanted };
  return running.system;
}

async function stopSystem(): Promise<void> {
  await running?.system.stop();
  running = null;
}

describe('the system keeps its promises', () => {
  for (const fault of faultsOf(seed))
    it(fault.name, { timeout: fault.limitMs ?? 240_000 }, async ({ skip }) => {
      if (fault.skipped != null) {
        console.log(`| ${fault.name} | | | | | | | ${fault.skipped} |`);
        skip(fault.skipped);
      }
      const row = await runFault(fault, await systemFor(fault), seed).catch(async (error: unknown) => {
        await stopSystem();
        throw error;
      });
      const { fault: name, inFlight, tasks, lost, doubled, broken, recovery, note } = row;
      console.log(
        `| ${name} | ${inFlight} | ${tasks} | ${lost} | ${doubled} | ${broken} | ${recovery} s | ${note} |`,
      );
      if (process.env.FAULT_ROWS !== undefined)
        appendFileSync(process.env.FAULT_ROWS, `${JSON.stringify(row)}\n`);
      // What a failed row has left must not be found in the next one.
      if (row.findings.length > 0) await stopSystem();
      expect(row.findings.slice(0, 30)).toEqual([]);
    });
});
