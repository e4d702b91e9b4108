import { parseServerMessage } from './server-message.ts'
import type { Timers } from './transport.ts'
import { WebSocketTransport } from './web-socket-transport.ts'

const WITHIN_MS = 10_000
/** As much as a small chunk: some networks open WebSockets and cut them at the first frames. */
const PADDING_BYTES = 32 * 1024

/**
 * Whether frames go to and fro on a WebSocket. Nothing is recorded by that.
 * @param url with a client of its own, so that no other connection is taken over
 */
export function webSocketWorks(url: string, token: string, timers: Timers): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (works: boolean): void => {
      cancel()
      socket.close()
      resolve(works)
    }
    const socket = new WebSocketTransport(url, token, {
      text: (frame) => {
        const message = parseServerMessage(frame)
        if (typeof message === 'string') return
        if (message.type === 'welcome')
          socket.send(JSON.stringify({ type: 'ping', t: 0, padding: 'x'.repeat(PADDING_BYTES) }))
        if (message.type === 'pong') end(true)
      },
      closed: () => end(false),
    })
    const cancel = timers.after(WITHIN_MS, () => end(false))
  })
}
