// Traces by OpenTelemetry: spans, and the context that outbox entries and jobs carry to other processes. Until
// `enableTracing` is called, no span is made, and nothing is stored or sent. `runtime/tracing.ts` turns it on.

import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';

export interface SpanOptions {
  kind: SpanKind;
  attributes: Attributes;
  /** The span that caused this one, as a `traceparent`; by default the active one, if any. */
  parent?: string | undefined;
}

let tracer: Tracer | null = null;

/** Makes spans from now on, with the tracer provider that is registered globally. @param version of the software */
export function enableTracing(version: string): void {
  tracer = trace.getTracer('biolayer', version);
}

/** Whether spans are made. */
export function isTracing(): boolean {
  return tracer !== null;
}

/** The active span as a `traceparent` (W3C Trace Context); undefined when there is none. */
export function traceparent(): string | undefined {
  return tracer === null ? undefined : traceparentOf(context.active());
}

/** The header of a request that continues the active span. */
export function traceHeaders(): { traceparent?: string } {
  const value = traceparent();
  return value === undefined ? {} : { traceparent: value };
}

/** The fields of a log line that name the active span. */
export function traceFields(): { trace_id?: string; span_id?: string } {
  const active = tracer === null ? undefined : trace.getActiveSpan()?.spanContext();
  return active === undefined ? {} : { trace_id: active.traceId, span_id: active.spanId };
}

/** Adds attributes to the active span, if there is one. */
export function annotate(attributes: Attributes): void {
  if (tracer !== null) trace.getActiveSpan()?.setAttributes(attributes);
}

/**
 * Runs something as a span. A thrown error marks the span as failed, with the error's name alone: its message may hold data
 * of a client.
 * @param run gets the span; undefined while there are none.
 * @param isFailure which thrown errors mark the span as failed; all by default.
 */
export async function inSpan<T>(
  name: string,
  options: SpanOptions,
  run: (span: Span | undefined) => Promise<T>,
  isFailure: (error: unknown) => boolean = () => true,
): Promise<T> {
  if (tracer === null) return run(undefined);
  const { within, span } = open(tracer, name, options);
  try {
    return await context.with(within, () => run(span));
  } catch (error) {
    if (isFailure(error)) markFailed(span, error instanceof Error ? error.name : 'unknown');
    throw error;
  } finally {
    span.end();
  }
}

/**
 * Starts a span that is not active, for one of several things that are done together.
 * @returns the span and its `traceparent`; null while there are none.
 */
export function startSpan(name: string, options: SpanOptions): { span: Span; traceparent: string } | null {
  if (tracer === null) return null;
  const { within, span } = open(tracer, name, options);
  return { span, traceparent: traceparentOf(within) ?? '' };
}

/** Marks a span as failed. @param type a class of errors, of which there are few. */
export function markFailed(span: Span, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function open(
  by: Tracer,
  name: string,
  { kind, attributes, parent }: SpanOptions,
): { within: Context; span: Span } {
  // Without `tracestate`: what a client writes there must not reach the receivers of others.
  const from =
    parent === undefined ? context.active() : propagation.extract(ROOT_CONTEXT, { traceparent: parent });
  const span = by.startSpan(name, { kind, attributes }, from);
  return { within: trace.setSpan(from, span), span };
}

function traceparentOf(of: Context): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(of, carrier);
  return carrier.traceparent;
}
