import type { TransportKind } from '../api.ts'
import { parseServerMessage } from './server-message.ts'
import { openTransport, type Timers } from './transport.ts'

const WITHIN_MS = 10_000
/** As much as a small chunk: some networks open WebSockets and cut them at the first frames. */
const PADDING_BYTES = 32 * 1024
const ABNORMAL = 1006

/**
 * Tries whether frames go to and fro. Nothing is recorded by that.
 * @param url with a client of its own, so that no other connection is taken over
 * @returns null if so, else the close code
 */
export function tryTransport(kind: TransportKind, url: string, token: string, timers: Timers): Promise<number | null> {
  return new Promise((resolve) => {
    const end = (code: number | null): void => {
      cancel()
      transport.close()
      resolve(code)
    }
    const text = (frame: string): void => {
      const message = parseServerMessage(frame)
      if (typeof message === 'string') return
      if (message.type === 'welcome')
        transport.send(JSON.stringify({ type: 'ping', t: 0, padding: 'x'.repeat(PADDING_BYTES) }))
      if (message.type === 'pong') end(null)
    }
    const transport = openTransport(kind, url, token, { text, closed: end }, timers)
    const cancel = timers.after(WITHIN_MS, () => end(ABNORMAL))
  })
}

export const webSocketWorks = async (url: string, token: string, timers: Timers): Promise<boolean> =>
  (await tryTransport('websocket', url, token, timers)) === null
