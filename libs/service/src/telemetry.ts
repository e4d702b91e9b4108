import { ATTRIBUTES } from '@longtake/contracts'
import { diag, DiagLogLevel } from '@opentelemetry/api'
import { OTLPMetricExporter as JsonMetrics } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtobufMetrics } from '@opentelemetry/exporter-metrics-otlp-proto'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { OTLPTraceExporter as JsonTraces } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufTraces } from '@opentelemetry/exporter-trace-otlp-proto'
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { createDenyListAttributesProcessor, type IMetricReader, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { ParentBasedSampler, type SpanExporter, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace'
import type { Logger } from './logger.ts'
import { redact } from './privacy.ts'

/** Values without bound: good on spans, ruinous as metric labels, so every metric drops them. */
const NEVER_METRIC_LABELS = Object.values(ATTRIBUTES)

export interface TelemetryOptions {
  service: string
  instance: string
  /** Share of traces begun here that are kept; traces begun elsewhere keep their own decision. */
  traceRatio: number
  /** Without one nothing is sent, and no spans are made; `metrics()` works all the same. */
  otlpEndpoint: string | undefined
  otlpProtocol: 'http/protobuf' | 'http/json'
  logger: Logger
}

export interface Telemetry extends AsyncDisposable {
  /** All metrics as Prometheus text. */
  metrics(): Promise<string>
}

/**
 * Registers the global tracer and meter providers. Must run before any module makes a meter: until a provider is
 * registered, `@opentelemetry/api` hands out meters that never count. Disposal flushes what is not sent yet.
 */
export function startTelemetry(options: TelemetryOptions): Telemetry {
  const { service, instance, traceRatio, otlpEndpoint, otlpProtocol, logger } = options
  diag.setLogger(diagTo(logger), DiagLogLevel.WARN)
  const json = otlpProtocol === 'http/json'
  const prometheus = new PrometheusExporter({ preventServerStart: true })
  const serializer = new PrometheusSerializer()
  const metricReaders: IMetricReader[] = [prometheus]
  if (otlpEndpoint !== undefined) {
    metricReaders.push(new PeriodicExportingMetricReader({ exporter: json ? new JsonMetrics() : new ProtobufMetrics() }))
  }
  const sdk = new NodeSDK({
    // Spans are made by hand where they tell something; this one only counts (event loop delay, heap, GC).
    instrumentations: [new RuntimeNodeInstrumentation()],
    // Host and process detectors would send command lines and user names.
    autoDetectResources: false,
    resource: resourceFromAttributes({ 'service.name': service, 'service.instance.id': instance, 'service.namespace': 'longtake' }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(traceRatio) }),
    ...(otlpEndpoint === undefined ? { spanProcessors: [] } : { traceExporter: redacting(json ? new JsonTraces() : new ProtobufTraces()) }),
    metricReaders,
    views: [{ instrumentName: '*', attributesProcessors: [createDenyListAttributesProcessor(NEVER_METRIC_LABELS)] }],
    logRecordProcessors: [],
  })
  sdk.start()
  return {
    async metrics() {
      const { resourceMetrics, errors } = await prometheus.collect()
      for (const error of errors) logger.warn({ error }, 'a metric could not be collected')
      return serializer.serialize(resourceMetrics)
    },
    async [Symbol.asyncDispose]() {
      await sdk.shutdown()
    },
  }
}

/** Takes secrets out of a span's texts just before it leaves. */
function redacting(exporter: SpanExporter): SpanExporter {
  return {
    export(spans, done) {
      for (const span of spans) {
        redactIn(span.attributes)
        for (const event of span.events) if (event.attributes) redactIn(event.attributes)
        if (span.status.message !== undefined) span.status.message = redact(span.status.message)
      }
      exporter.export(spans, done)
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  }
}

function redactIn(attributes: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(attributes)) if (typeof value === 'string') attributes[key] = redact(value)
}

function diagTo(logger: Logger) {
  const telemetry = logger.child({ component: 'telemetry' })
  const write = (level: 'warn' | 'error' | 'debug') => (message: string, ...details: unknown[]) => telemetry[level]({ details }, message)
  // An exporter that cannot send is degraded, not lost recordings: a warning.
  return { error: write('warn'), warn: write('warn'), info: write('debug'), debug: write('debug'), verbose: write('debug') }
}
