import type { BlobStore } from '@longtake/blob'
import { ERROR_CODES, GROUPS, TOPICS, type WireErrorCode } from '@longtake/contracts'
import { createLogger, Health, type ServiceDeps } from '@longtake/service'
import { readConfig as readWriterConfig } from '../../services/block-writer/src/config.ts'
import { start as startWriter } from '../../services/block-writer/src/service.ts'
import { readConfig as readCompletenessConfig } from '../../services/completeness/src/config.ts'
import { start as startCompleteness } from '../../services/completeness/src/service.ts'
import { readConfig as readFinalizerConfig } from '../../services/finalizer/src/config.ts'
import { start as startFinalizer } from '../../services/finalizer/src/service.ts'
import { readConfig as readGatewayConfig } from '../../services/gateway/src/config.ts'
import { LIMITS } from '../../services/gateway/src/limits.ts'
import type { Socket } from '../../services/gateway/src/live-connection.ts'
import { start as startGateway } from '../../services/gateway/src/service.ts'
import type { ServiceKind } from './plan.ts'
import type { Trace } from './world/trace.ts'
import type { IngestHandler, IngestServer, IngestSocket } from './world/websocket.ts'
import type { SimProcess } from './world/virtual-time.ts'

const ENV = {
  KAFKA_BROKERS: 'broker-0:9092,broker-1:9092,broker-2:9092',
  AZURE_STORAGE_CONNECTION_STRING: 'simulated',
  LONGTAKE_TOKEN_SECRET: 'simulated-simulated-simulated-simulated',
  LONGTAKE_HOST: 'simulated',
  // Small, so that little media meets every bound.
  LONGTAKE_BLOCK_BYTES: '64KiB',
}

export interface ServiceHost {
  readonly process: SimProcess
  readonly store: BlobStore
  readonly holeWaitMs: number
  readonly trace: Trace
  readonly stopping: AbortSignal
  fail(this: void, error: unknown): void
  listening(this: void, server: IngestServer): void
}

/** Starts a service as its `main.ts` does, within a simulated process. */
export function startService(kind: ServiceKind, host: ServiceHost): Promise<AsyncDisposable> {
  const deps = depsOf(host)
  const env = {
    ...ENV,
    LONGTAKE_HOLE_WAIT: `${host.holeWaitMs}ms`,
    LONGTAKE_INSTANCE: host.process.name,
    LONGTAKE_LOG_LEVEL: host.trace.hasReader ? 'debug' : 'silent',
  }
  const { store } = host
  switch (kind) {
    case 'gateway':
      return startGateway(readGatewayConfig(env), deps, LIMITS, listenOn(host))
    case 'block-writer':
      return startWriter(readWriterConfig(env), deps, {
        chunks: TOPICS.chunks.name,
        events: TOPICS.events.name,
        group: GROUPS.blockWriter,
        store,
      })
    case 'completeness':
      return startCompleteness(readCompletenessConfig(env), deps)
    case 'finalizer':
      return startFinalizer(readFinalizerConfig(env), deps, {
        topics: { events: TOPICS.events.name, status: TOPICS.status.name },
        group: GROUPS.finalizer,
        pauses: { firstMs: 500, maxMs: 15_000 },
        store,
      })
    default:
      return kind satisfies never
  }
}

function depsOf({ process, trace, stopping, fail }: ServiceHost): ServiceDeps {
  const destination = { write: (line: string) => trace.line(process.name, describeLog(line)) }
  const logger = createLogger({ service: process.name, level: trace.hasReader ? 'debug' : 'silent', destination })
  return { logger, health: new Health(), stopping, fail, metrics: () => Promise.resolve('') }
}

/** Of a log line what a reader of the story needs. */
function describeLog(line: string): string {
  const {
    level,
    message,
    service: _service,
    time: _time,
    error,
    kafkajs,
    ...fields
  } = JSON.parse(line) as Record<string, unknown>
  if (kafkajs !== undefined) return `debug kafkajs ${String(message)}`
  const reason =
    typeof error === 'object' && error !== null ? ` (${String((error as { message?: unknown }).message)})` : ''
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${String(level)} ${String(message)}${reason} ${rest.join(' ')}`
}

/** Stands in for the gateway's WebSocket server: clients come by simulated connections, with tokens that are right. */
function listenOn({ process, listening }: ServiceHost): NonNullable<Parameters<typeof startGateway>[3]> {
  return ({ gateway, limits }) => {
    let isListening = true
    listening({
      process,
      accept(address, socket) {
        if (!isListening) return null
        const refusal = gateway.refusal()
        if (refusal !== undefined) return refuse(socket, refusal)
        const live = gateway.connect(portOf(socket), { ...address, expiresAt: Number.MAX_SAFE_INTEGER })
        const handler: IngestHandler = {
          text: (frame) => live.receiveText(frame),
          binary: (frame) =>
            frame.length > limits.maxChunkBytes + FRAME_HEADER
              ? live.receiveTooLarge(frame.length)
              : live.receiveBinary(frame),
          closed: (code) => live.gone(code),
        }
        return handler
      },
    })
    return Promise.resolve({
      port: 0,
      stopListening: () => (isListening = false),
      close: () => undefined,
    })
  }
}

const FRAME_HEADER = 48
const IGNORES: IngestHandler = { text: () => undefined, binary: () => undefined, closed: () => undefined }

function refuse(socket: IngestSocket, code: WireErrorCode): IngestHandler {
  socket.send(JSON.stringify({ type: 'error', code, message: ERROR_CODES[code].means }))
  socket.end(ERROR_CODES[code].close)
  return IGNORES
}

function portOf(socket: IngestSocket): Socket {
  return {
    transport: 'websocket',
    send(text) {
      socket.send(text)
      return true
    },
    ping: () => socket.ping(),
    end: (code) => socket.end(code),
    terminate: () => socket.terminate(),
    batch: (work) => work(),
  }
}
