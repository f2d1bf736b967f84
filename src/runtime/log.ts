// The log of a process: JSON lines on stdout. Console output of libraries becomes log lines too.

import { format } from 'node:util';
import { LRUCache } from 'lru-cache';
import { type DestinationStream, type Logger, pino } from 'pino';
import { isUnavailable } from '../store/redis/connection.ts';
import { isTracing, traceFields } from '../tracing/tracing.ts';

/** Time within which a line about an unavailable Redis is not repeated, ms. */
const QUIET = 60_000;

/**
 * Creates the log of a process.
 * @param level lowest level that is written. @param name of the process. @param stream destination, default stdout.
 */
export function createLog(level: string, name: string, stream?: DestinationStream): Logger {
  const options = {
    level,
    base: { process: name, pid: process.pid },
    hooks: { logMethod: quietHook() },
    ...(isTracing() && { mixin: traceFields }),
  };
  return stream === undefined ? pino(options) : pino(options, stream);
}

type LogMethod = NonNullable<NonNullable<pino.LoggerOptions['hooks']>['logMethod']>;

/**
 * Writes each line about an unavailable Redis once a minute and without its stack: every loop would repeat it during an
 * outage.
 */
function quietHook(): LogMethod {
  const recent = new LRUCache<string, true>({ max: 100, ttl: QUIET });
  return function write(args, method) {
    const [fields, message] = args as unknown as [object, string];
    const error: unknown = typeof fields === 'object' && fields !== null ? Reflect.get(fields, 'err') : null;
    if (!(error instanceof Error) || !isUnavailable(error)) return method.apply(this, args);
    if (recent.has(message)) return;
    recent.set(message, true);
    const { err: _error, ...others } = fields as Record<string, unknown>;
    method.call(this, { ...others, reason: error.message }, message);
  };
}

/** BullMQ's warning about the eviction policy, once per connection; `checkRedis` logs it once, with the remedy. */
const LOGGED_ELSEWHERE = /^IMPORTANT! Eviction policy is/;

/** Redirects the console to the log. Each text is logged once. */
export function logConsole(log: Logger): void {
  const logged = new Set<string>();
  const write = (level: 'info' | 'warn') => {
    return (...words: unknown[]) => {
      const text = format(...words);
      if (logged.has(text) || LOGGED_ELSEWHERE.test(text)) return;
      if (logged.size < 1000) logged.add(text);
      log[level]({}, text);
    };
  };
  console.log = write('info');
  console.info = write('info');
  console.warn = write('warn');
  console.error = write('warn');
}
