import { BEARER_SUBPROTOCOL_PREFIX, SUBPROTOCOL } from '@longtake/contracts/protocol'
import type { Transport, TransportEvents } from './transport.ts'

/** One WebSocket to the gateway. */
export class WebSocketTransport implements Transport {
  readonly #socket: WebSocket
  #closed = false

  /** @param url with session and client; the token goes as a subprotocol, since browsers cannot set headers here */
  constructor(url: string, token: string, events: TransportEvents) {
    this.#socket = new WebSocket(url, [SUBPROTOCOL, `${BEARER_SUBPROTOCOL_PREFIX}${token}`])
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (!this.#closed && typeof data === 'string') events.text(data)
    })
    this.#socket.addEventListener('close', ({ code }) => {
      if (this.#closed) return
      this.#closed = true
      events.closed(code)
    })
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  get isOpen(): boolean {
    return !this.#closed && this.#socket.readyState === WebSocket.OPEN
  }

  send(frame: string | Uint8Array<ArrayBuffer>): void {
    if (this.isOpen) this.#socket.send(frame)
  }

  close(): void {
    this.#closed = true
    this.#socket.close(1000)
  }
}
