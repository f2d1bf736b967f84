// The linters that tools for OpenAPI come with find no fault in docs/openapi.json.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const LINT = fileURLToPath(new URL('../../../script/lint-openapi', import.meta.url));

it('has no error or warning of Redocly or Spectral, and its score does not fall', async () => {
  const { stdout, stderr } = await promisify(execFile)(LINT);
  expect(stdout + stderr).not.toMatch(/\d+ warnings?/);
}, 240_000);
