import { BEARER_SUBPROTOCOL_PREFIX, SUBPROTOCOL } from '@longtake/contracts/protocol'

export interface TransportEvents {
  text(frame: string): void
  /** Called once, also when the connection never came about; never after `Transport.close`. */
  closed(code: number): void
}

/** One WebSocket to the gateway. */
export class Transport {
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

  /** Bytes that have not yet been handed to the network. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  get isOpen(): boolean {
    return !this.#closed && this.#socket.readyState === WebSocket.OPEN
  }

  /** On a socket that is no longer open it does nothing: `closed` tells about that. */
  send(frame: string | Uint8Array<ArrayBuffer>): void {
    if (this.isOpen) this.#socket.send(frame)
  }

  close(): void {
    this.#closed = true
    this.#socket.close(1000)
  }
}
