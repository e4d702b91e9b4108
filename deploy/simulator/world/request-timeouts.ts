import { createRequire } from 'node:module'

/** What this looks at of kafkajs's queue of the requests of one connection. */
interface RequestQueue {
  readonly inflight: Map<number, { sentAt: number; requestTimeout: number; timeoutRequest(): void }>
  readonly requestTimeout: number
  requestTimeoutIntervalId: NodeJS.Timeout | undefined
  isConnected(): boolean
  destroy(): void
  scheduleRequestTimeoutCheck(): void
}

const kafka = createRequire(createRequire(import.meta.url).resolve('kafkajs'))
const { prototype } = kafka('./src/network/requestQueue') as { prototype: RequestQueue }

/**
 * kafkajs looks for requests that have timed out ten times a second on every connection, which would be most of all
 * that happens in an idle hour. Here it looks once a second, and so finds out up to a second later.
 */
prototype.scheduleRequestTimeoutCheck = function oncePerSecond(this: RequestQueue): void {
  this.destroy()
  this.requestTimeoutIntervalId = setInterval(() => {
    for (const request of this.inflight.values())
      if (Date.now() - request.sentAt > request.requestTimeout) request.timeoutRequest()
    if (!this.isConnected()) this.destroy()
  }, 1000)
}
