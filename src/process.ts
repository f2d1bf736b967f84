// What every process type does alike: its log, its word when it is ready, and an orderly end.

import { createRequire } from 'node:module';
import { type Logger, pino } from 'pino';
import { type Config, ConfigError, type Environment, loadConfig, type ProcessKind } from './config.ts';
import { createSealer, type Sealer } from './store/sealed.ts';

/** How long a process may take to finish what it has in hand, ms. */
const SHUTDOWN_LIMIT = 25_000;

/** First part of every key in Redis. */
export const PREFIX = 'bl';

/** Version of the software, from its package. */
export const { version: VERSION } = createRequire(import.meta.url)('#package') as { version: string };

/** The configuration for this process, or its faults on stderr, one a line, and exit code 2. */
export function configure<T extends Config>(load: (env: Environment) => T): T {
  try {
    return load(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const fault of error.faults) console.error(fault);
    process.exit(2);
  }
}

export { loadConfig, type ProcessKind };

/** The process's log: JSON lines on stdout. */
export function createLog(level: string, name: string): Logger {
  return pino({ level, base: { process: name, pid: process.pid } });
}

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

/** On SIGTERM or SIGINT runs `close` and exits: 0 when it finished in time, 1 when it did not. A second signal ends at once. */
export function closeOnSignal(log: Logger, close: () => Promise<void>): void {
  let closing = false;
  const end = async (signal: string) => {
    if (closing) process.exit(1);
    closing = true;
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
