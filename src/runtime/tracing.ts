// Turns traces on: loads the SDK of OpenTelemetry and its exporter, which nothing else imports. The SDK reads the other
// variables of the standard itself, such as OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS.

import { DiagLogLevel, diag } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { TracesTo } from '../config-values.ts';
import { isObject, readJson } from '../state/text/forms.ts';
import { shortened } from '../state/text/text.ts';
import { enableTracing } from '../tracing/tracing.ts';
import { asStartupFault } from './startup-fault.ts';

/** Time within which a fault of the exporter is not logged again, ms. */
const QUIET = 60_000;
/** Most of a fault that is logged, UTF-16 units. */
const REASON_LENGTH = 300;

let provider: { shutdown(): Promise<void> } | null = null;

/**
 * Turns traces on.
 * @param to where spans are sent. @param name of the process; its service is `biolayer-<name>` unless OTEL_SERVICE_NAME is set.
 * @param version of the software
 * @throws StartupFault when the SDK is not installed
 */
export async function startTracing(to: TracesTo, name: string, version: string): Promise<void> {
  const [{ BatchSpanProcessor, NodeTracerProvider }, resources, exporter] = await asStartupFault(
    'The SDK of OpenTelemetry, an optional dependency,',
    () =>
      Promise.all([
        import('@opentelemetry/sdk-trace-node'),
        import('@opentelemetry/resources'),
        exporterTo(to),
      ]),
  );
  const own = resources.resourceFromAttributes({
    'service.name': `biolayer-${name}`,
    'service.version': version,
    'process.pid': process.pid,
  });
  const given = resources.detectResources({ detectors: [resources.envDetector] });
  const started = new NodeTracerProvider({
    resource: resources.defaultResource().merge(own).merge(given),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  started.register();
  provider = started;
  enableTracing(version);
}

async function exporterTo(to: TracesTo) {
  if (to === 'console') return new (await import('@opentelemetry/sdk-trace-node')).ConsoleSpanExporter();
  const { OTLPTraceExporter } =
    to === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter();
}

/** Logs faults of the SDK, such as a collector that does not answer: once a minute, because each batch would repeat it. */
export function logTracing(log: Logger): void {
  let quietUntil = 0;
  const warn = (reason: string) => {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + QUIET;
    log.warn({ reason: messageOf(reason) }, 'traces are not exported');
  };
  const ignore = () => undefined;
  const logger = { error: warn, warn, info: ignore, debug: ignore, verbose: ignore };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

/** The SDK reports an error as the JSON of its fields, with its stack. */
function messageOf(reported: string): string {
  const json = readJson(reported);
  const { message } = json.kind === 'known' && isObject(json.value) ? json.value : {};
  return shortened(typeof message === 'string' && message !== '' ? message : reported, REASON_LENGTH);
}

/** Sends the spans that are left. Does nothing while traces are off. */
export async function stopTracing(): Promise<void> {
  // A collector that is away must not make an orderly shutdown fail.
  await provider?.shutdown().catch(() => undefined);
}
