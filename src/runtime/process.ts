// What all process types have in common: start, log, the line that says it is ready, and an orderly shutdown.

import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';
import { type Config, ConfigError, type Environment, loadConfig } from '../config.ts';
import { createSealer, type Sealer } from '../store/redis/sealing.ts';
import { createLog, logConsole } from './log.ts';
import { logTracing, startTracing, stopTracing } from './tracing.ts';

/** Longest time for the work in progress to finish at shutdown, ms. */
const SHUTDOWN_LIMIT = 25_000;

/**
 * A signal repeated within this time, ms, counts as one: npm forwards to its child a signal that the terminal or the
 * supervisor has already sent to the whole process group.
 */
const SAME_REQUEST = 1000;

/**
 * V8 collects its old generation when it has grown by so many per cent since the last time. By default it may be four times as large
 * first, with what requests have left there: up to 100 MB more resident. Takes effect at the next collection, in threads too.
 */
const HEAP_GROWTH_PERCENT = 100;

/** First part of every key in Redis. */
export const PREFIX = 'bl';

/** Version of the software, from its package. */
export const { version: VERSION } = createRequire(import.meta.url)('#package') as { version: string };

/**
 * Loads the configuration, creates the log and starts a process. If that fails, writes the fault as one line on stderr,
 * without a stack (faults of the environment as one line each), and exits with code 1.
 * @param name of the process in its log.
 */
export async function runProcess<T extends Config>(
  name: string,
  load: (env: Environment) => T,
  start: (config: T, log: Logger) => Promise<void>,
): Promise<void> {
  let level = 'info';
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  try {
    const config = load(process.env);
    level = config.logLevel;
    // First, because the log shows traces if they are on.
    if (config.tracesTo !== undefined) await startTracing(config.tracesTo, name, VERSION);
    const log = createLog(level, name);
    logConsole(log);
    if (config.tracesTo !== undefined) logTracing(log);
    await start(config, log);
  } catch (error) {
    for (const line of faultLines(error)) process.stderr.write(`${line}\n`);
    if (['debug', 'trace'].includes(level) && error instanceof Error)
      process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  }
}

/** The faults that kept the process from starting, one line each. */
function faultLines(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.faults;
  const message = error instanceof Error ? error.message : String(error);
  return [`BioLayer could not start: ${message.trim().replaceAll(/\s*\n\s*/g, ' | ')}`];
}

export { loadConfig };

/** Logs that the process is ready, at any log level: supervisors and tests wait for this line. */
export function logReady(log: Logger, fields: Record<string, unknown> = {}): void {
  const always = log.child({}, { level: 'info' });
  always.info(fields, 'ready');
}

/** The sealer of the configured keys. */
export function sealerOf(config: { secretsKey: string; secretsKeyPrevious?: string | undefined }): Sealer {
  const current = Buffer.from(config.secretsKey, 'base64');
  const { secretsKeyPrevious: previous } = config;
  return createSealer(previous === undefined ? [current] : [current, Buffer.from(previous, 'base64')]);
}

/**
 * On SIGTERM or SIGINT runs `close` and exits: with 0 when it finished in time, otherwise with 1. Another signal more
 * than a second after the first exits at once.
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
      log.error({}, 'shutdown took too long');
      process.exit(1);
    }, SHUTDOWN_LIMIT);
    try {
      await close();
      await stopTracing();
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
