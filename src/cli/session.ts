// What every command needs: its flags, the API with the right credential, and where to print. Secrets come
// from the environment or from a file, never from a flag, which everybody on the machine could read.

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { loadCliConfig } from '../config.ts';
import { Client } from './client.ts';
import { UsageError } from './faults.ts';
import { Output, type Sink } from './output.ts';

export interface Streams {
  stdin: AsyncIterable<Buffer | string> & { isTTY?: boolean | undefined };
  stdout: Sink;
  stderr: Sink;
  /** Variables instead of the process's own. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
}

export interface Session {
  api: Client;
  out: Output;
}

interface GlobalFlags {
  json?: true;
  url?: string;
  apiKeyFile?: string;
  operatorTokenFile?: string;
}

/** Adds the flags that every command takes. */
export function addGlobalFlags(program: Command): void {
  program
    .option('--json', 'print one JSON document')
    .option('--url <url>', 'base URL of the API, instead of BIOLAYER_URL')
    .option('--api-key-file <file>', 'file with the API key, instead of BIOLAYER_API_KEY')
    .option('--operator-token-file <file>', 'file with the operator token, instead of OPERATOR_TOKEN');
}

/**
 * The session of a command.
 * @param caller whose credential it takes: that of an org's API key, or the operator's.
 * @throws UsageError or ConfigError
 */
export async function openSession(
  command: Command,
  streams: Streams,
  caller: 'api_key' | 'operator' = 'api_key',
): Promise<Session> {
  const flags = command.optsWithGlobals<GlobalFlags>();
  const { url, json, apiKeyFile, operatorTokenFile } = flags;
  const given = {
    ...(url !== undefined && { BIOLAYER_URL: url }),
    ...(apiKeyFile !== undefined && { BIOLAYER_API_KEY: await readText(apiKeyFile) }),
    ...(operatorTokenFile !== undefined && { OPERATOR_TOKEN: await readText(operatorTokenFile) }),
  };
  const config = loadCliConfig(given, streams.env);
  const credential = caller === 'operator' ? config.operatorToken : config.apiKey;
  if (credential === undefined) throw new UsageError(MISSING[caller]);
  return {
    api: new Client(config.url, credential),
    out: new Output(streams.stdout, streams.stderr, json === true),
  };
}

/** Where a command prints that needs no API. */
export function openOutput(command: Command, streams: Streams): Output {
  const { json } = command.optsWithGlobals<GlobalFlags>();
  return new Output(streams.stdout, streams.stderr, json === true);
}

const MISSING = {
  api_key: 'There is no API key: set BIOLAYER_API_KEY, or name a file with --api-key-file.',
  operator: 'This is for the operator: set OPERATOR_TOKEN, or name a file with --operator-token-file.',
};

/** The text of a file. @throws UsageError */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}
