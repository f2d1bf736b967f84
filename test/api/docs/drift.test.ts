// The committed OpenAPI document and the SDK's generated code follow the routes: `npm run openapi` writes both.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openApi } from '../../../src/api/docs/openapi.ts';
import { ROUTES } from '../../../src/api/routes/index.ts';
import { DEFAULT_URL } from '../../../src/config.ts';
import { VERSION } from '../../../src/runtime/process.ts';

const GENERATED = 'packages/sdk/src/generated';

test('docs/openapi.json is what the server serves', async () => {
  const committed: unknown = JSON.parse(await readFile('docs/openapi.json', 'utf8'));
  expect(committed).toEqual(JSON.parse(JSON.stringify(openApi(ROUTES, VERSION, DEFAULT_URL))));
});

test("the SDK's generated code is what the generator makes of docs/openapi.json", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'biolayer-sdk-'));
  try {
    await promisify(execFile)('script/generate-sdk', [folder]);
    const files = await readdir(folder);
    expect(files.sort()).toEqual((await readdir(GENERATED)).sort());
    for (const file of files)
      expect(await readFile(join(GENERATED, file), 'utf8')).toBe(await readFile(join(folder, file), 'utf8'));
  } finally {
    await rm(folder, { recursive: true });
  }
});
