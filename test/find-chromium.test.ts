// Which browser the tests of the pages run in.
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const folder = await mkdtemp(join(tmpdir(), 'biolayer-path-'));
afterAll(() => rm(folder, { recursive: true }));

/** Runs the script where only these programs are found. @param programs exit codes by name. @returns output and errors */
async function find(
  programs: Record<string, number>,
  env: Record<string, string> = {},
  ...options: string[]
): Promise<string> {
  const path = await mkdtemp(join(folder, 'bin-'));
  for (const [name, code] of Object.entries(programs))
    await writeFile(join(path, name), `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 });
  try {
    const io = { env: { PATH: path, ...env }, stdio: 'pipe', encoding: 'utf8' } as const;
    return execFileSync('/bin/bash', ['script/find-chromium', ...options], io).replace(path, '');
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
}

describe('script/find-chromium', () => {
  it('prints the first program that runs', async () => {
    expect(await find({ chromium: 0, 'google-chrome': 0 })).toBe('/chromium\n');
    // Some systems have a program that only says how to install the browser.
    expect(await find({ 'chromium-browser': 1, 'google-chrome': 0 })).toBe('/google-chrome\n');
  });

  it('takes the program that CHROMIUM names, and no other', async () => {
    expect(await find({ chromium: 0, mine: 0 }, { CHROMIUM: 'mine' })).toBe('/mine\n');
    expect(await find({ chromium: 0 }, { CHROMIUM: '/none' })).toMatch(/^CHROMIUM is not a browser.*\/none/);
  });

  it('prefers the headless shell when it is asked for, if there is one', async () => {
    const both = { chromium: 0, 'chromium-headless-shell': 0 };
    expect(await find(both, {}, '--headless-shell')).toBe('/chromium-headless-shell\n');
    expect(await find({ chromium: 0 }, {}, '--headless-shell')).toBe('/chromium\n');
    expect(await find(both)).toBe('/chromium\n');
  });

  it.skipIf(process.platform === 'darwin')('says what to install when there is none', async () => {
    expect(await find({})).toMatch(/^No Chromium is found: the browser tests are skipped\. Install one/);
  });
});
