// The secrets of an installation with an embedded Redis, on a real folder.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { embeddedSecrets } from '../../src/runtime/embedded-secrets.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'biolayer-secrets-'));
});

afterEach(() => rm(dir, { recursive: true }));

describe('embeddedSecrets', () => {
  it('creates the secrets once, readable only by their owner', async () => {
    const home = join(dir, 'new');
    const all = await Promise.all([embeddedSecrets(home), embeddedSecrets(home), embeddedSecrets(home)]);
    const [secrets] = all;
    expect(all).toEqual([secrets, secrets, secrets]);
    expect(await embeddedSecrets(home)).toEqual(secrets);
    expect(
      loadConfig({ SECRETS_KEY: secrets.secretsKey, OPERATOR_TOKEN: secrets.operatorToken }, 'server'),
    ).toMatchObject(secrets);
    expect(await readdir(home)).toEqual(['secrets.json']);
    expect((await stat(join(home, 'secrets.json'))).mode & 0o777).toBe(0o600);
    expect(await embeddedSecrets(dir)).not.toEqual(secrets);
  });

  it('refuses a damaged file and does not overwrite it', async () => {
    const path = join(dir, 'secrets.json');
    await writeFile(path, '{"secretsKey":"half');
    await expect(embeddedSecrets(dir)).rejects.toThrow(/is damaged/);
    expect(await readFile(path, 'utf8')).toBe('{"secretsKey":"half');
  });
});
