import type { TransportKind } from '../api.ts'
import type { Cancel } from '../worker-timers.ts'
import { PollingTransport } from './polling-transport.ts'
import { WebSocketTransport } from './web-socket-transport.ts'

export interface TransportEvents {
  /** A text frame of the server. */
  text(frame: string): void
  /** Called once, also when the connection never came about; never after `close`. A code of the protocol, or 1006. */
  closed(code: number): void
}

/** One connection to the gateway. */
export interface Transport {
  /** Bytes that have not yet been handed to the network, or are in a request without an answer. */
  readonly bufferedBytes: number
  /** Does nothing on a connection that is no longer open: `closed` reports that. */
  send(frame: string | Uint8Array<ArrayBuffer>): void
  close(): void
}

export interface Timers {
  after(ms: number, task: () => void): Cancel
}

/** @param url of the WebSocket, with session and client */
export function openTransport(
  kind: TransportKind,
  url: string,
  token: string,
  events: TransportEvents,
  timers: Timers,
): Transport {
  return kind === 'websocket'
    ? new WebSocketTransport(url, token, events)
    : new PollingTransport(url, token, events, timers)
}
