import { hostname } from 'node:os'
import { LOG_LEVELS } from './logger.ts'
import type { ConfigOf } from './read-env.ts'
import { duration, oneOf, port, ratio, secret, text, url } from './settings.ts'

/**
 * What every service can be told. Ports default to one per service, so that all run on one machine.
 * @param name the service's folder name, as `block-writer`
 */
export function serviceSettings(name: string, defaults: { healthPort: number }) {
  const upper = name.toUpperCase().replaceAll('-', '_')
  return {
    logLevel: oneOf('LONGTAKE_LOG_LEVEL', LOG_LEVELS, { help: 'the least important log lines to write', default: 'info' }),
    instance: text('LONGTAKE_INSTANCE', { help: 'name of this process in logs and telemetry', default: `${hostname()}-${process.pid}` }),
    host: text('LONGTAKE_HOST', { help: 'address to listen on; 0.0.0.0 in containers', default: '127.0.0.1' }),
    healthPort: port(`LONGTAKE_${upper}_HEALTH_PORT`, { help: 'port of /healthz, /readyz and /metrics', default: defaults.healthPort }),
    shutdownTimeoutMs: duration('LONGTAKE_SHUTDOWN_TIMEOUT', {
      help: 'how long an orderly stop may take; below the platform’s own limit (Kubernetes: 30s)',
      default: 25_000,
      min: 100,
    }),
    traceRatio: ratio('LONGTAKE_TRACE_RATIO', { help: 'share of traces kept, 0 to 1', default: 0.01 }),
    otlpEndpoint: url('OTEL_EXPORTER_OTLP_ENDPOINT', { help: 'OTLP over HTTP, as http://collector:4318; unset: nothing is sent', default: undefined }),
    otlpProtocol: oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', ['http/protobuf', 'http/json'], { help: 'encoding of OTLP', default: 'http/protobuf' }),
  }
}
export type ServiceConfig = ConfigOf<ReturnType<typeof serviceSettings>>

/** For every service that removes, or states until when there is, what remains of a deleted session. */
export const deletionSettings = {
  deletedRetentionMs: duration('LONGTAKE_DELETED_RETENTION', {
    help: 'how long it stays known that a session was deleted; above the lifetime of ingest tokens, since that stops late chunks',
    default: 30 * 86_400_000,
    min: 86_400_000,
  }),
}

/** For the service that truncates recordings.chunks, and those that report how long it keeps committed records. */
export const chunkLogSettings = {
  keepCommittedMs: duration('LONGTAKE_CHUNKS_KEEP', {
    help: 'how long recordings.chunks keeps records once they are committed',
    default: 3_600_000,
    min: 1_000,
  }),
}

/** For every service that speaks to Azure Blob Storage. Of the first two exactly one is needed. */
export const azureSettings = {
  azureConnectionString: secret('AZURE_STORAGE_CONNECTION_STRING', { help: 'storage account with its key; for local use and tests', default: undefined }),
  azureAccountUrl: url('LONGTAKE_AZURE_ACCOUNT_URL', {
    help: 'storage account spoken to by managed identity, as https://name.blob.core.windows.net',
    default: undefined,
    insteadOf: 'AZURE_STORAGE_CONNECTION_STRING',
  }),
  azureContainer: text('LONGTAKE_AZURE_CONTAINER', { help: 'container of all recordings', default: 'recordings' }),
}
export type AzureSettings = ConfigOf<typeof azureSettings>
