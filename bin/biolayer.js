#!/usr/bin/env node
// The `biolayer` command, as npm installs it. What it runs is compiled: a fresh clone compiles it with the first command.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

if (!existsSync(`${root}dist/src/cli.js`) && existsSync(`${root}node_modules/.bin/tsc`))
  spawnSync('script/build', { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
try {
  await import('../dist/src/cli.js');
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  process.stderr.write(`biolayer is not installed and built here. Run this first: (cd ${root} && npm ci)\n`);
  process.exitCode = 1;
}
