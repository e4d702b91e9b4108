import { setImmediate as nextTick } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import type { ServerMessage } from '@longtake/contracts'
import { createLogger } from '@longtake/service'
import { Gateway, type GatewayOptions } from '../src/gateway.ts'
import { LIMITS } from '../src/limits.ts'
import type { LiveConnection } from '../src/live-connection.ts'
import { CLIENT, frame } from './conversation.ts'

export const OTHER = '6f8a1b54-8f0e-4a5c-9a51-3f1f5f3b7c22'
type Sent = Parameters<GatewayOptions['send']>[0]

/** A gateway with a Kafka that answers when told to, and clients whose sockets remember. */
export class Scene {
  readonly gateway: Gateway
  readonly kafka: { record: Sent; resolve: () => void; reject: (error: Error) => void }[] = []

  constructor(context: TestContext, options: Partial<GatewayOptions> = {}) {
    context.mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'], now: Date.parse('2026-03-01T12:00:00Z') })
    this.gateway = new Gateway({
      instance: 'gateway-1', partitions: 12, maxConnections: 10, inFlightBytes: 1_000_000, windowBytes: 200_000, backlogBytes: 100_000_000, limits: LIMITS,
      logger: createLogger({ service: 'gateway', level: 'silent' }),
      steadyMs: () => Date.now(),
      send: (record) => new Promise((resolve, reject) => this.kafka.push({ record, resolve: () => resolve(undefined), reject })),
      ...options,
    })
  }

  connect(client = CLIENT, session = 's-1') {
    const seen: { messages: ServerMessage[]; closed: number | undefined; pings: number; reads: boolean } = { messages: [], closed: undefined, pings: 0, reads: true }
    const closed = (code: number): void => {
      seen.closed = code
      live.gone(code)
    }
    const socket = {
      transport: 'websocket' as const,
      send: (text: string) => seen.reads && seen.messages.push(JSON.parse(text) as ServerMessage) > 0,
      ping: () => void (seen.pings += 1),
      end: closed,
      terminate: () => closed(1006),
      batch: (work: () => void) => work(),
    }
    const live: LiveConnection = this.gateway.connect(socket, { session, client, expiresAt: Date.now() + 3_600_000 })
    return { live, seen, says: (message: object) => live.receiveText(Buffer.from(JSON.stringify(message))), sends: (seq: number, payload: Uint8Array) => live.receiveBinary(frame(0, seq, payload)) }
  }

  kinds(): string[] {
    return this.kafka.map(({ record }) => record.headers['kind'] ?? '')
  }

  /** Kafka takes all that waits, and what follows from it has happened. */
  async settle(): Promise<void> {
    for (const { resolve } of this.kafka.splice(0)) resolve()
    await nextTick()
    await nextTick()
  }
}

export const last = (messages: ServerMessage[]): ServerMessage | undefined => messages.at(-1)
