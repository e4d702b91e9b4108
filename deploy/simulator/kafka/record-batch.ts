/** A record as it stands in a log. */
export interface LoggedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string
  /** Null: a tombstone. */
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
}

/** Places in the header of a record batch of format 2 (Kafka protocol, "Record Batch"). */
const COUNT_AT = 57
const RECORDS_AT = 61

/** What a broker looks at of a batch that it appends. */
export function batchHeader(bytes: Buffer) {
  return {
    count: bytes.readInt32BE(23) + 1,
    producerId: bytes.readBigInt64BE(43),
    producerEpoch: bytes.readInt16BE(51),
    baseSequence: bytes.readInt32BE(53),
  }
}

/** The records of an uncompressed batch. */
export function decodeBatch(bytes: Buffer): LoggedRecord[] {
  const base = Number(bytes.readBigInt64BE(0))
  const firstTimestamp = Number(bytes.readBigInt64BE(27))
  let at = RECORDS_AT
  const varint = (): number => {
    let [value, scale] = [0, 1]
    for (;;) {
      const byte = bytes[at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      scale *= 128
    }
  }
  const blob = (): Buffer | null => {
    const length = varint()
    if (length < 0) return null
    at += length
    return bytes.subarray(at - length, at)
  }
  return Array.from({ length: bytes.readInt32BE(COUNT_AT) }, () => {
    varint() // length
    at += 1 // attributes
    const timestamp = firstTimestamp + varint()
    const offset = base + varint()
    const key = blob()?.toString() ?? ''
    const value = blob()
    const headers: Record<string, string> = {}
    for (let left = varint(); left > 0; left -= 1) {
      const name = blob()?.toString() ?? ''
      headers[name] = blob()?.toString() ?? ''
    }
    return { offset, timestamp, key, value, headers }
  })
}
