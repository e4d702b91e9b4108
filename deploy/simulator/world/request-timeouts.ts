import { createRequire } from 'node:module'

/** What this looks at of kafkajs's queue of the requests of one connection. */
interface RequestQueue {
  readonly inflight: Map<number, SocketRequest>
  requestTimeoutIntervalId: NodeJS.Timeout | undefined
  sendSocketRequest: (this: RequestQueue, request: SocketRequest) => void
  scheduleRequestTimeoutCheck(): void
}

interface SocketRequest {
  readonly sentAt: number
  readonly requestTimeout: number
  timeoutRequest(): void
}

const kafka = createRequire(createRequire(import.meta.url).resolve('kafkajs'))
const { prototype } = kafka('./src/network/requestQueue') as { prototype: RequestQueue }

/** A check that finds requests under way looks again after so long. */
const CHECK_EVERY_MS = 1000

/**
 * kafkajs looks for requests that have timed out ten times a second on every connection, which would be most of all
 * that happens in an idle hour. Here it looks once a second, and only while requests are under way.
 */
prototype.scheduleRequestTimeoutCheck = function (this: RequestQueue): void {
  clearTimeout(this.requestTimeoutIntervalId)
  this.requestTimeoutIntervalId = undefined
}
const { sendSocketRequest } = prototype
prototype.sendSocketRequest = function (this: RequestQueue, request: SocketRequest): void {
  sendSocketRequest.call(this, request)
  check(this)
}

function check(queue: RequestQueue): void {
  if (queue.requestTimeoutIntervalId !== undefined) return
  const firstMs = Math.min(...queue.inflight.values().map(({ sentAt, requestTimeout }) => sentAt + requestTimeout))
  if (firstMs === Infinity) return
  queue.requestTimeoutIntervalId = setTimeout(
    () => {
      queue.requestTimeoutIntervalId = undefined
      for (const request of queue.inflight.values())
        if (Date.now() - request.sentAt > request.requestTimeout) request.timeoutRequest()
      check(queue)
    },
    Math.max(CHECK_EVERY_MS, firstMs - Date.now()),
  )
}
