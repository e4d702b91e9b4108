import { decodeChunkFrame, isWireFault, parseClientMessage, parseServerMessage } from '@longtake/contracts'
import { newLedger, type PartLedger } from '@longtake/testkit'
import type { PageSocket, RecordingPage } from './browser-engine.ts'
import { PolledFrames, type FrameListener } from './polled-frames.ts'
import type { WebSocketBlocker } from './web-socket-blocker.ts'

/** Listens to the sockets of a page, and to its requests where there are none, and keeps, part by part, what its recorder sent and what was acknowledged. */
export class Eavesdropper {
  readonly #ledgers: Map<string, PartLedger>

  /** @param earlier whose page is gone: what its recorder began is gone on with here */
  constructor(page: Pick<RecordingPage, 'on'>, earlier?: Eavesdropper) {
    this.#ledgers = earlier === undefined ? new Map() : new Map(earlier.#ledgers)
    page.on('websocket', (socket) => this.#listen(socket))
  }

  get parts(): PartLedger[] {
    return [...this.#ledgers.values()]
  }

  /** Listens to what the page sends by way of this proxy without a socket. */
  listenTo(proxy: WebSocketBlocker): void {
    const polled = new PolledFrames(() => this.#connection())
    proxy.onRequest = (request) => polled.requested(request)
    proxy.onAnswer = (request, answer) => polled.answered(request, answer)
  }

  #listen(socket: PageSocket): void {
    const connection = this.#connection()
    socket.on('framesent', ({ payload }) => (typeof payload === 'string' ? connection.clientText(payload) : connection.clientBinary(payload)))
    socket.on('framereceived', ({ payload }) => {
      if (typeof payload === 'string') connection.serverText(payload)
    })
  }

  #connection(): FrameListener {
    const handles = new Map<number, PartLedger>()
    return {
      clientText: (text) => this.#declared(text, handles),
      clientBinary: (bytes) => this.#sent(bytes, handles),
      serverText: (text) => this.#answered(text, handles),
    }
  }

  #answered(text: string, handles: Map<number, PartLedger>): void {
    const message = parseServerMessage(text)
    if (isWireFault(message) || message.type !== 'ack') return
    const ledger = handles.get(message.handle)
    for (let seq = message.from; seq <= message.to; seq++) {
      const bytes = ledger?.made.get(seq)
      if (bytes === undefined) throw new Error(`an ack of chunk ${seq}, which was not sent on this connection`)
      ledger?.acknowledged.set(seq, bytes)
    }
  }

  #declared(text: string, handles: Map<number, PartLedger>): void {
    const message = parseClientMessage(text)
    if (isWireFault(message)) throw new Error(`the recorder sent ${text}: ${message.details}`)
    if (message.type === 'open') {
      const known = this.#ledgers.get(message.part) ?? newLedger(message)
      this.#ledgers.set(message.part, known)
      handles.set(message.handle, known)
    } else if (message.type === 'close') {
      const ledger = this.#ledgers.get(message.part)
      if (ledger !== undefined) ledger.closed = { chunks: message.chunks, clean: message.clean }
    }
  }

  #sent(bytes: Buffer, handles: Map<number, PartLedger>): void {
    const frame = decodeChunkFrame(bytes)
    if (typeof frame === 'string') throw new Error(`the recorder sent a frame that is ${frame}`)
    // A copy: the decoded payload is a view.
    handles.get(frame.handle)?.made.set(frame.seq, Uint8Array.from(frame.payload))
  }
}
