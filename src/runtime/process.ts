// What every process type does alike: its start, its log, its word when it is ready, and an orderly end.

import { createRequire } from 'node:module';
import type { Logger } from 'pino';
import { type Config, ConfigError, type Environment, loadConfig } from '../config.ts';
import { createSealer, type Sealer } from '../store/redis/sealing.ts';
import { createLog, logConsole } from './log.ts';

/** How long a process may take to finish what it has in hand, ms. */
const SHUTDOWN_LIMIT = 25_000;

/**
 * A signal that comes again within this time is the same request, ms: npm passes on to its child what a terminal or a
 * supervisor has sent to the whole process group.
 */
const SAME_REQUEST = 1000;

/** First part of every key in Redis. */
export const PREFIX = 'bl';

/** Version of the software, from its package. */
export const { version: VERSION } = createRequire(import.meta.url)('#package') as { version: string };

/**
 * Runs the start of a process with its configuration and log. A fault is one line on stderr, without a stack, and exit
 * code 1; faults of the environment are one line each.
 */
export async function runProcess<T extends Config>(
  name: string,
  load: (env: Environment) => T,
  start: (config: T, log: Logger) => Promise<void>,
): Promise<void> {
  let level = 'info';
  try {
    const config = load(process.env);
    level = config.logLevel;
    const log = createLog(level, name);
    logConsole(log);
    await start(config, log);
  } catch (error) {
    for (const line of faultLines(error)) process.stderr.write(`${line}\n`);
    if (['debug', 'trace'].includes(level) && error instanceof Error)
      process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  }
}

/** What kept a process from starting, a line each. */
function faultLines(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.faults;
  const message = error instanceof Error ? error.message : String(error);
  return [`BioLayer could not start: ${message.trim().replaceAll(/\s*\n\s*/g, ' | ')}`];
}

export { loadConfig };

/** Says that the process is ready, in the one line others wait for, whatever the log level. */
export function sayReady(log: Logger, fields: Record<string, unknown> = {}): void {
  const always = log.child({}, { level: 'info' });
  always.info(fields, 'ready');
}

/** The sealer for the configured keys. */
export function sealerOf(config: { secretsKey: string; secretsKeyPrevious?: string | undefined }): Sealer {
  const current = Buffer.from(config.secretsKey, 'base64');
  const { secretsKeyPrevious: previous } = config;
  return createSealer(previous === undefined ? [current] : [current, Buffer.from(previous, 'base64')]);
}

/**
 * On SIGTERM or SIGINT runs `close` and exits: 0 when it finished in time, 1 when it did not. A signal more than a
 * second after the first ends at once.
 */
export function closeOnSignal(log: Logger, close: () => Promise<void>): void {
  let closingSince: number | null = null;
  const end = async (signal: string) => {
    if (closingSince !== null) {
      if (performance.now() - closingSince > SAME_REQUEST) process.exit(1);
      return;
    }
    closingSince = performance.now();
    log.info({ signal }, 'shutting down');
    const limit = setTimeout(() => {
      log.error({}, 'did not finish in time');
      process.exit(1);
    }, SHUTDOWN_LIMIT);
    try {
      await close();
    } catch (error) {
      log.error({ err: error }, 'shutdown failed');
      process.exitCode = 1;
    }
    clearTimeout(limit);
    process.exit();
  };
  process.on('SIGTERM', () => void end('SIGTERM'));
  process.on('SIGINT', () => void end('SIGINT'));
}
