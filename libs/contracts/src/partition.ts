import { encodeText } from './json.ts'

/**
 * murmur2 as Kafka's Java client and every compatible client compute it over the key's UTF-8 bytes
 * (org.apache.kafka.common.utils.Utils.murmur2), so that foreign producers meet ours in the same partition.
 */
export function murmur2(data: Uint8Array): number {
  const m = 0x5bd1e995
  const length = data.length
  let h = (0x9747b28c ^ length) | 0
  const whole = length & ~3
  for (let i = 0; i < whole; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    h = Math.imul(h, m) ^ Math.imul(k, m)
  }
  const rest = length - whole
  if (rest === 3) h ^= data[whole + 2]! << 16
  if (rest >= 2) h ^= data[whole + 1]! << 8
  if (rest >= 1) h = Math.imul(h ^ data[whole]!, m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h
}

/** The partition of a session in every topic. Counts never change after creation, else sessions would split. */
export function partitionOf(session: string, partitions: number): number {
  return (murmur2(encodeText(session)) & 0x7fffffff) % partitions
}
