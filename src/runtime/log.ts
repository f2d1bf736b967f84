// The log of a process: JSON lines on stdout, also for what libraries write to the console.

import { format } from 'node:util';
import { type DestinationStream, type Logger, pino } from 'pino';
import { isUnavailable } from '../store/redis/connection.ts';

/** How long a line about a Redis that is away is not repeated, ms. */
const QUIET = 60_000;

/**
 * A log.
 * @param level the least that is written @param name of the process @param stream where to; stdout unless given
 */
export function createLog(level: string, name: string, stream?: DestinationStream): Logger {
  const options = { level, base: { process: name, pid: process.pid }, hooks: { logMethod: quietHook() } };
  return stream === undefined ? pino(options) : pino(options, stream);
}

type LogMethod = NonNullable<NonNullable<pino.LoggerOptions['hooks']>['logMethod']>;

/** Everything that works on Redis meets its absence again and again: each line about it is written once a minute, with no stack. */
function quietHook(): LogMethod {
  const writtenAt = new Map<string, number>();
  return function write(args, method) {
    const [fields, message] = args as unknown as [object, string];
    const error: unknown = typeof fields === 'object' && fields !== null ? Reflect.get(fields, 'err') : null;
    if (!(error instanceof Error) || !isUnavailable(error)) return method.apply(this, args);
    const now = performance.now();
    if (now - (writtenAt.get(message) ?? Number.NEGATIVE_INFINITY) < QUIET) return;
    if (writtenAt.size >= 100) writtenAt.clear();
    writtenAt.set(message, now);
    const { err: _error, ...others } = fields as Record<string, unknown>;
    method.call(this, { ...others, reason: error.message }, message);
  };
}

/** BullMQ's own words on the eviction policy, for each connection; `checkRedis` says it once, with the remedy. */
const SAID_ELSEWHERE = /^IMPORTANT! Eviction policy is/;

/** Turns what libraries write to the console into lines of the log, each text once. */
export function logConsole(log: Logger): void {
  const said = new Set<string>();
  const write = (level: 'info' | 'warn') => {
    return (...words: unknown[]) => {
      const text = format(...words);
      if (said.has(text) || SAID_ELSEWHERE.test(text)) return;
      if (said.size < 1000) said.add(text);
      log[level]({}, text);
    };
  };
  console.log = write('info');
  console.info = write('info');
  console.warn = write('warn');
  console.error = write('warn');
}
