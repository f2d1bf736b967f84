// The requests of a simulation: repeated while the server is unavailable, measured by operation.

import { randomUUID } from 'node:crypto';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, ConnectionError, type RequestOptions, TimeoutError } from '@biolayer/sdk';

/** Time limit of one attempt, ms. A process that is suspended accepts connections and does not answer. */
const ATTEMPT_LIMIT = 8000;
/** Pause before another attempt, ms. */
const PAUSE = 100;

/** Whether the error may be temporary: no response, unavailable, or too many requests. */
export function isTemporary(error: unknown): error is ApiError | ConnectionError | TimeoutError {
  if (error instanceof ApiError) return [429, 502, 503, 504].includes(error.status);
  return error instanceof ConnectionError || error instanceof TimeoutError;
}

/** Quantiles of durations, ms. */
export interface Latency {
  count: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

export class Requests {
  readonly #over: AbortSignal;
  readonly #unexpected: string[];
  readonly #byOperation = new Map<string, RecordableHistogram>();
  #lastAnswer = performance.now();
  repeated = 0;
  /** Longest time without any answer but errors that may be temporary, ms. */
  longestOutage = 0;

  /** @param over ends all requests. @param unexpected gets a sentence for each answer that no caller expects. */
  constructor(over: AbortSignal, unexpected: string[]) {
    this.#over = over;
    this.#unexpected = unexpected;
  }

  /**
   * Sends a request until it is answered, always with the same idempotency key.
   * @param expected codes of the problems that may be the answer.
   * @returns the answer; null when it was refused. @throws the reason of the signal
   */
  async send<T>(
    operation: string,
    expected: readonly string[],
    request: (options: RequestOptions) => PromiseLike<T>,
  ): Promise<T | null> {
    const idempotencyKey = randomUUID();
    for (;;) {
      this.#over.throwIfAborted();
      const started = performance.now();
      try {
        const signal = this.#over;
        const answer = await request({ idempotencyKey, signal, maxRetries: 0, timeoutMs: ATTEMPT_LIMIT });
        this.#answered(operation, started);
        return answer;
      } catch (error) {
        this.#over.throwIfAborted();
        const isInFlight = error instanceof ApiError && error.code === 'idempotency_in_flight';
        if (!isInFlight && !isTemporary(error)) {
          if (!(error instanceof ApiError)) throw error;
          this.#answered(operation, started);
          if (!expected.includes(error.code))
            this.#unexpected.push(`${operation}: ${error.status} ${error.code}: ${error.detail}`);
          return null;
        }
      }
      this.repeated += 1;
      await sleep(PAUSE, undefined, { signal: this.#over });
    }
  }

  /** The latencies of all answers by operation; an attempt without an answer is not in them. */
  latencies(): Record<string, Latency> {
    return Object.fromEntries(
      [...this.#byOperation].map(([name, histogram]) => [name, latencyOf(histogram)]),
    );
  }

  #answered(operation: string, started: number): void {
    const now = performance.now();
    this.longestOutage = Math.max(this.longestOutage, now - this.#lastAnswer);
    this.#lastAnswer = now;
    const histogram = this.#byOperation.get(operation) ?? createHistogram();
    this.#byOperation.set(operation, histogram);
    histogram.record(Math.max(1, Math.round((now - started) * 1000)));
  }
}

/** @param histogram of microseconds */
function latencyOf(histogram: RecordableHistogram): Latency {
  const ms = (microseconds: number) => Math.round(microseconds / 100) / 10;
  return {
    count: histogram.count,
    p50: ms(histogram.percentile(50)),
    p95: ms(histogram.percentile(95)),
    p99: ms(histogram.percentile(99)),
    max: ms(histogram.max),
  };
}

/** The quantiles of durations, ms. */
export function quantiles(durations: readonly number[]): Latency {
  const histogram = createHistogram();
  for (const duration of durations) histogram.record(Math.max(1, Math.round(duration * 1000)));
  return histogram.count === 0 ? { count: 0, p50: 0, p95: 0, p99: 0, max: 0 } : latencyOf(histogram);
}
