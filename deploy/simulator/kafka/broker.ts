import type { Tcp, ServerSocket, ServerHandler } from '../world/tcp.ts'
import { EVENTS, type Trace } from '../world/trace.ts'
import type { VirtualTime } from '../world/virtual-time.ts'
import { WireReader, WireWriter } from './wire.ts'

/** A request without its header. */
export interface Request {
  readonly api: number
  readonly version: number
  readonly clientId: string
  readonly body: WireReader
  readonly broker: Broker
  /** False once nobody can receive the answer any more. */
  isWanted(this: void): boolean
}

/** Answers with the body of a response; once for each request. */
export type Respond = (body: WireWriter) => void

export type ApiHandler = (request: Request, respond: Respond) => void

/** API keys and the versions that the simulated brokers know. */
export type Apis = ReadonlyMap<number, { readonly min: number; readonly max: number; readonly handle: ApiHandler }>

const API_VERSIONS = 18
const UNSUPPORTED_VERSION = 35

/** One broker: takes one request of a connection at a time, in order, and may be down or hang. */
export class Broker {
  readonly id: number
  readonly host: string
  /** How late it hears of changes of leadership. */
  metadataLagMs = 0
  up = true
  #hangsUntil = 0
  readonly #time: VirtualTime
  readonly #trace: Trace
  readonly #apis: Apis
  readonly #connections = new Set<ServerSocket>()

  constructor(id: number, { time, trace, apis, tcp }: { time: VirtualTime; trace: Trace; apis: Apis; tcp: Tcp }) {
    this.id = id
    this.host = `broker-${id}`
    this.#time = time
    this.#trace = trace
    this.#apis = apis
    tcp.listen(this.host, (socket) => (this.up ? this.#accept(socket) : null))
  }

  /** Requests are worked on again only after so long. */
  hang(ms: number): void {
    this.#hangsUntil = Math.max(this.#hangsUntil, this.#time.now + ms)
  }

  stop(): void {
    this.up = false
    for (const socket of this.#connections) socket.reset()
    this.#connections.clear()
  }

  start(): void {
    this.up = true
  }

  #accept(socket: ServerSocket): ServerHandler {
    this.#connections.add(socket)
    const waiting: Buffer[] = []
    let isOpen = true
    let busy = false
    const next = (): void => {
      const bytes = waiting.shift()
      if (bytes === undefined || !isOpen) return
      busy = true
      const work = (): void =>
        this.#work(
          bytes,
          () => isOpen,
          (answer) => {
            if (!isOpen) return
            // An answer leaves a hanging broker when it goes on.
            this.#whenAwake(() => {
              if (isOpen) socket.send(answer)
              busy = false
              next()
            })
          },
        )
      this.#whenAwake(work)
    }
    return {
      receive: (bytes) => {
        waiting.push(bytes)
        if (!busy) next()
      },
      closed: () => {
        isOpen = false
        this.#connections.delete(socket)
      },
    }
  }

  #whenAwake(work: () => void): void {
    if (this.#time.now >= this.#hangsUntil) work()
    else this.#time.at(this.#hangsUntil, work)
  }

  #work(bytes: Buffer, isWanted: () => boolean, answer: (bytes: Buffer) => void): void {
    const reader = new WireReader(bytes, 4)
    const api = reader.int16()
    const version = reader.int16()
    const correlation = reader.int32()
    const clientId = reader.text()
    this.#trace.note(EVENTS.request, api, bytes)
    const respond: Respond = (body) => {
      const framed = Buffer.allocUnsafe(8 + body.bytes.length)
      framed.writeInt32BE(4 + body.bytes.length, 0)
      framed.writeInt32BE(correlation, 4)
      framed.set(body.bytes, 8)
      this.#trace.note(EVENTS.response, api, framed)
      answer(framed)
    }
    if (api === API_VERSIONS) return respond(this.#versions(version))
    const known = this.#apis.get(api)
    if (known === undefined || version < known.min || version > known.max) {
      throw new Error(`${clientId} sends API ${api} version ${version}, which the simulated brokers do not know`)
    }
    known.handle({ api, version, clientId, body: reader, broker: this, isWanted }, respond)
  }

  #versions(version: number): WireWriter {
    const answer = new WireWriter()
    if (version > 2) return answer.int16(UNSUPPORTED_VERSION).int32(0)
    const all = [...this.#apis].map(([api, { min, max }]) => ({ api, min, max }))
    answer.int16(0).array([...all, { api: API_VERSIONS, min: 0, max: 2 }], ({ api, min, max }) => {
      answer.int16(api).int16(min).int16(max)
    })
    return version >= 1 ? answer.int32(0) : answer
  }
}
