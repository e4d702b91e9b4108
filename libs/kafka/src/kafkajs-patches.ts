import { createRequire, Module } from 'node:module'
import { dirname, sep } from 'node:path'
import { crc32c } from '@node-rs/crc32'

/**
 * Two repairs of kafkajs 2.2.4, made before any of its modules is loaded:
 * - its record batches are summed by native CRC-32C; the JavaScript one takes two thirds of a producer's CPU;
 * - its request queue re-arms a timer for ever, even with nothing waiting (1,000 wake-ups a second and connection,
 *   and a TimeoutNegativeWarning from Node 24).
 * Copies of kafkajs that someone loaded earlier stay as they are; those loaded from here on are repaired.
 */
export const requireKafkajs = createRequire(import.meta.url)

const root = dirname(requireKafkajs.resolve('kafkajs/package.json')) + sep
for (const path of Object.keys(requireKafkajs.cache)) {
  if (path.startsWith(root)) delete requireKafkajs.cache[path]
}

// In place before anything can ask for it: hooks into `require`, as OpenTelemetry's, keep what it gave first.
const crcPath = requireKafkajs.resolve('kafkajs/src/protocol/recordBatch/crc32C')
const crcModule = new Module(crcPath)
crcModule.filename = crcPath
crcModule.loaded = true
crcModule.exports = (bytes: Buffer): number => crc32c(bytes)
requireKafkajs.cache[crcPath] = crcModule

interface RequestQueue {
  pending: unknown[]
  scheduleCheckPendingRequests: (this: RequestQueue) => void
}
const { prototype } = requireKafkajs('kafkajs/src/network/requestQueue') as { prototype: RequestQueue }
const schedule = prototype.scheduleCheckPendingRequests
prototype.scheduleCheckPendingRequests = function onlyWhenSomethingWaits(this: RequestQueue) {
  if (this.pending.length > 0) schedule.call(this)
}
