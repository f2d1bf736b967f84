// The session of a command: global flags, the API client with the right credential, and the output. Secrets come from the
// environment or a file and never from a flag, because other users of the machine can read the arguments of a process.

import { readFile } from 'node:fs/promises';
import { BioLayer } from '@biolayer/sdk';
import type { Command } from 'commander';
import { loadCliConfig } from '../config.ts';
import { UsageError } from './faults.ts';
import { Output, type Sink } from './output.ts';

/** A person waits for the command, so that it gives up soon. */
const RETRIES = 1;
/** Time limit of a request, ms, in addition to the long poll that it asks for. */
export const TIME_LIMIT = 30_000;

/** Streams and environment of a command line. */
export interface Streams {
  stdin: AsyncIterable<Buffer | string> & { isTTY?: boolean | undefined };
  stdout: Sink;
  stderr: Sink;
  /** Replaces the environment of the process. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** The API client and the output of a command. */
export interface Session {
  api: BioLayer;
  /** Credential and base URL of `api`. */
  apiKey: string;
  url: string;
  out: Output;
}

interface GlobalFlags {
  json?: true;
  url?: string;
  apiKeyFile?: string;
  operatorTokenFile?: string;
}

/** Adds the flags of all commands. */
export function addGlobalFlags(program: Command): void {
  program
    .option('--json', 'print one JSON document')
    .option('--url <url>', 'base URL of the API, instead of BIOLAYER_URL')
    .option('--api-key-file <file>', 'file with the API key, instead of BIOLAYER_API_KEY')
    .option('--operator-token-file <file>', 'file with the operator token, instead of OPERATOR_TOKEN');
}

/**
 * Opens the session of a command.
 * @param caller which credential to use: the API key of an org, or the operator token.
 * @param send sends the requests instead of `fetch`.
 * @throws UsageError or ConfigError
 */
export async function openSession(
  command: Command,
  streams: Streams,
  caller: 'api_key' | 'operator' = 'api_key',
  send = fetch,
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
    apiKey: credential,
    url: config.url,
    api: new BioLayer({
      apiKey: credential,
      baseUrl: config.url,
      fetch: send,
      maxRetries: RETRIES,
      timeoutMs: TIME_LIMIT,
    }),
    out: new Output(streams.stdout, streams.stderr, json === true),
  };
}

/** The output of a command that does not call the API. */
export function openOutput(command: Command, streams: Streams): Output {
  const { json } = command.optsWithGlobals<GlobalFlags>();
  return new Output(streams.stdout, streams.stderr, json === true);
}

const MISSING = {
  api_key: 'No API key: set BIOLAYER_API_KEY, or pass a file with --api-key-file.',
  operator:
    'This command is for the operator: set OPERATOR_TOKEN, or pass a file with --operator-token-file.',
};

/** Reads a text file. @throws UsageError when it cannot be read. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}
