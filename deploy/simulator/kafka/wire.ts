/** Reads the primitive types of Kafka's protocol (big-endian, without the compact encodings of flexible versions). */
export class WireReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  int8(): number {
    return this.#bytes.readInt8(this.#skip(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#skip(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#skip(4))
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#skip(8))
  }

  /** A string; null where the protocol says so. */
  nullable(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.#bytes.toString('utf8', this.#skip(length), this.#at)
  }

  text(): string {
    return this.nullable() ?? ''
  }

  bytes(): Buffer {
    const length = this.int32()
    return length < 0 ? Buffer.alloc(0) : this.#bytes.subarray(this.#skip(length), this.#at)
  }

  /** An array; empty where it is null. */
  array<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, read)
  }

  /** An unsigned varint, as flexible versions write lengths (KIP-482). */
  uvarint(): number {
    let [value, shift] = [0, 0]
    for (;;) {
      const byte = this.#bytes.readUInt8(this.#skip(1))
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
      shift += 7
    }
  }

  raw(bytes: number): Buffer {
    return this.#bytes.subarray(this.#skip(bytes), this.#at)
  }

  /** A string and an array of flexible versions; their length is one more than it. */
  compactText(): string {
    return this.raw(Math.max(0, this.uvarint() - 1)).toString()
  }

  compactArray<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(0, this.uvarint() - 1) }, read)
  }

  /** None is of interest to the simulated brokers, and clients send none. */
  tags(): void {
    if (this.uvarint() !== 0) throw new Error('a request carries tagged fields')
  }

  #skip(bytes: number): number {
    const at = this.#at
    this.#at += bytes
    return at
  }
}

/** Writes the same types; methods chain. */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(256)
  #length = 0

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  int8(value: number): this {
    const at = this.#grow(1)
    this.#buffer.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#grow(2)
    this.#buffer.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#grow(4)
    this.#buffer.writeInt32BE(value, at)
    return this
  }

  int64(value: bigint | number): this {
    const at = this.#grow(8)
    this.#buffer.writeBigInt64BE(BigInt(value), at)
    return this
  }

  text(value: string | null): this {
    if (value === null) return this.int16(-1)
    const bytes = Buffer.byteLength(value)
    this.int16(bytes)
    const at = this.#grow(bytes)
    this.#buffer.write(value, at)
    return this
  }

  blob(value: Uint8Array): this {
    this.int32(value.length)
    const at = this.#grow(value.length)
    this.#buffer.set(value, at)
    return this
  }

  array<T>(values: readonly T[], write: (value: T) => void): this {
    this.int32(values.length)
    for (const value of values) write(value)
    return this
  }

  uvarint(value: number): this {
    let rest = value
    for (; rest >= 0x80; rest >>>= 7) this.int8(((rest & 0x7f) | 0x80) - 256)
    return this.int8(rest)
  }

  raw(value: Uint8Array): this {
    const at = this.#grow(value.length)
    this.#buffer.set(value, at)
    return this
  }

  compactText(value: string | null): this {
    if (value === null) return this.uvarint(0)
    const bytes = Buffer.from(value)
    return this.uvarint(bytes.length + 1).raw(bytes)
  }

  compactArray<T>(values: readonly T[], write: (value: T) => void): this {
    this.uvarint(values.length + 1)
    for (const value of values) write(value)
    return this
  }

  /** No tagged fields. */
  tags(): this {
    return this.uvarint(0)
  }

  #grow(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, 2 * this.#buffer.length))
      this.#buffer.copy(grown, 0, 0, at)
      this.#buffer = grown
    }
    return at
  }
}

/** Error codes of the protocol that the simulated brokers answer with. */
export const ERRORS = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  notLeader: 6,
  requestTimedOut: 7,
  coordinatorLoading: 14,
  notCoordinator: 16,
  notEnoughReplicas: 19,
  illegalGeneration: 22,
  unknownMember: 25,
  rebalanceInProgress: 27,
  unsupportedVersion: 35,
  outOfOrderSequence: 45,
  invalidProducerEpoch: 47,
  unknownProducer: 59,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 76,
  memberIdRequired: 79,
} as const
