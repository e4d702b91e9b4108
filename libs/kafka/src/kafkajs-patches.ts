import { createRequire } from 'node:module'
import { reauthenticateBetweenRequests, type SaslConnection } from './reauthentication.ts'

export const requireKafkajs = createRequire(import.meta.url)

/**
 * Three repairs of kafkajs 2.2.4, in place for everyone in the process:
 * - its request queue re-arms a timer for ever, even with nothing waiting (1,000 wake-ups a second and connection,
 *   and a TimeoutNegativeWarning from Node 24);
 * - its encoder fills every buffer that it grows into with zeroes first, megabytes for each request of a producer;
 * - it renews a SASL session in the midst of other requests (`reauthentication.ts`).
 */
interface RequestQueue {
  pending: unknown[]
  scheduleCheckPendingRequests: (this: RequestQueue) => void
}
const { prototype: queue } = requireKafkajs('kafkajs/src/network/requestQueue') as { prototype: RequestQueue }
const schedule = queue.scheduleCheckPendingRequests
queue.scheduleCheckPendingRequests = function onlyWhenSomethingWaits() {
  if (this.pending.length > 0) schedule.call(this)
}

interface Encoder {
  buf: Buffer
  offset: number
  ensureAvailable: (this: Encoder, bytes: number) => void
}
const { prototype: encoder } = requireKafkajs('kafkajs/src/protocol/encoder') as { prototype: Encoder }
encoder.ensureAvailable = function withoutZeroes(bytes: number) {
  const needed = this.offset + bytes
  if (needed <= this.buf.length) return
  // What lies behind the offset never leaves the encoder.
  const grown = Buffer.allocUnsafe(Math.max(needed, this.buf.length * 2))
  this.buf.copy(grown, 0, 0, this.offset)
  this.buf = grown
}

reauthenticateBetweenRequests((requireKafkajs('kafkajs/src/network/connection') as { prototype: SaslConnection }).prototype)
