// Secrets of an installation with an embedded Redis, in `<dir>/secrets.json`. They replace SECRETS_KEY and
// OPERATOR_TOKEN where the environment does not set them.

import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { StartupFault } from './startup-fault.ts';

/** Both secrets of an embedded installation. */
export interface EmbeddedSecrets {
  /** Base64 of 32 bytes, as `SECRETS_KEY`. */
  readonly secretsKey: string;
  readonly operatorToken: string;
}

/**
 * The secrets of the data directory `dir`: created by the first call, the same for every later one.
 * @throws StartupFault when the file is damaged.
 */
export async function embeddedSecrets(dir: string): Promise<EmbeddedSecrets> {
  const path = resolve(dir, 'secrets.json');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const fresh: EmbeddedSecrets = {
    secretsKey: randomBytes(32).toString('base64'),
    operatorToken: randomBytes(24).toString('base64url'),
  };
  // A link never replaces a file: of two first starts one creates it, and both read the same secrets.
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, `${JSON.stringify(fresh, null, 2)}\n`, { mode: 0o600 });
  try {
    await link(temporary, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(temporary);
  }
  return parseSecrets(await readFile(path, 'utf8'), path);
}

function parseSecrets(text: string, path: string): EmbeddedSecrets {
  try {
    const { secretsKey, operatorToken }: Partial<EmbeddedSecrets> = JSON.parse(text);
    if (secretsKey && operatorToken) return { secretsKey, operatorToken };
  } catch {
    // Reported below, because the parser's message would quote the secrets.
  }
  throw new StartupFault(
    `${path} is damaged. Restore it from a backup: without its key the stored secrets cannot be read.`,
  );
}
